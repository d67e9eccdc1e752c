"""The report holds the run's figures, and nothing in it leaves the file."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.figures.report import Series, chart, ticks
from cnnviz.figures.report.run import html_report
from cnnviz.tracking import Database, NoSuchRunError
from tests.figures.report_runs import finished


class Parsed(HTMLParser):
    """Tags, addresses and texts of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def test_the_report_holds_the_figures(database: Database) -> None:
    run_id = finished(database, lr=0.0123, epochs=2)
    parsed = Parsed(html_report(database, run_id))
    for text in ("80.00 %", "61.7 k", "0.0123", "f1n9er", "a processor", "torch 9.9", "A note", "kept",
                 "Most often 1 is predicted as 2: 4 times", "69.2 %", "finished"):  # fmt: skip
        assert text in parsed.text
    assert parsed.tags.count("svg") == 2


def test_nothing_leaves_the_file_and_nothing_runs(database: Database) -> None:
    document = html_report(database, finished(database))
    parsed = Parsed(document)
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert [address for address in parsed.addresses if not address.startswith("data:")] == []
    assert "@import" not in document
    assert not re.search(r"url\((?!data:)", document)
    assert "default-src 'none'" in document
    assert '<script src="https://example.org' in parsed.text  # shown as it was typed
    assert len(document) < 100_000


def test_many_classes_are_told_by_their_mistakes(database: Database) -> None:
    parsed = Parsed(html_report(database, finished(database, classes=100)))
    assert "Taken for another most often" in parsed.text
    assert parsed.tags.count("td") < 1_000


def test_a_run_that_never_began_has_a_report(database: Database) -> None:
    run = tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)
    parsed = Parsed(html_report(database, run.id))
    assert "queued" in parsed.text
    assert "svg" not in parsed.tags
    with pytest.raises(NoSuchRunError):
        html_report(database, 99)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
@example(0.0, 5e-324)
@example(-3e-301, 3e-310)
def test_ticks_are_few_rise_and_span_both_ends(one: float, other: float) -> None:
    low, high = sorted((one, other))
    result = ticks(low, high)
    assert 2 <= len(result) <= 9
    assert all(np.diff(result) > 0)
    slack = (result[1] - result[0]) * 1e-6
    assert result[0] - slack <= low <= high <= result[-1] + slack


def test_a_gap_breaks_the_line() -> None:
    x, y = np.arange(4.0), np.array([1.0, np.nan, 2.0, 3.0])
    drawn = chart("Loss", "train/loss", [Series("training", "train", x, y)])
    path = re.search(r'class="line" d="([^"]*)"', drawn)
    assert path is not None
    assert (path[1].count("M"), path[1].count("L")) == (2, 1)
    assert chart("Loss", "train/loss", [Series("a", "train", x, np.full(4, np.nan))]) == ""
