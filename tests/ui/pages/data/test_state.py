"""What the page of data says in words."""

import dataclasses

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.datasets import Step
from cnnviz.datasets.summary import Summary, summary
from cnnviz.ui.pages.data import overview, state
from cnnviz.ui.shared.notice import progress_text


def counted(*counts: int) -> Summary:
    return dataclasses.replace(summary(datasets.load("digits")), train_counts=np.array(counts))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((5, 5), "Every class has 5 training images: an even set."),
        ((6, 5), "(a, 6) has 1.2 times the training images of the smallest (b, 5): nearly even."),
        ((50, 5), "has 10 times the training images of the smallest (b, 5): uneven: a network that always"),
        ((50, 0), "has all of the training images of the smallest (b, 0): uneven"),
    ],
)
def test_balance_is_judged(counts: tuple[int, ...], sentence: str) -> None:
    assert sentence in state.balance(counted(*counts), ("a", "b"))


def test_facts_are_escaped_and_empty_ones_left_out() -> None:
    html = state.facts_html([("From", "<b>x</b>"), ("License", "")])
    assert html == '<dl class="facts"><dt>From</dt><dd>&lt;b&gt;x&lt;/b&gt;</dd></dl>'


@pytest.mark.parametrize(
    ("step", "seconds", "text"),
    [
        (Step("unpacking", 0, None), 3, "Unpacking …"),
        (Step("decoding", 3_000, 6_000), 90, "Decoding: 3,000 of 6,000 images, 1 min 30 s left"),
        (
            Step("downloading x", 5_000_000, 20_000_000, "bytes"),
            10,
            "Downloading x: 5.0 of 20.0 MB, 30 s left",
        ),
        (Step("decoding", 0, 6_000), 90, "Decoding: 0 of 6,000 images"),
        (Step("decoding", 6_000, 6_000), 90, "Decoding: 6,000 of 6,000 images"),
    ],
)
def test_progress_tells_the_time_left(step: Step, seconds: float, text: str) -> None:
    assert progress_text(step, seconds) == text


def test_downloads_hold_what_the_page_shows() -> None:
    ready = datasets.load("digits")
    result = summary(ready)
    lines = overview.to_csv(ready, result).splitlines()
    assert lines[0] == "class,train,test"
    assert len(lines) == 11
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == len(ready.train)
    document = overview.to_json(ready, result)
    assert ready.fingerprint in document
    assert f"{result.channels.mean[0]}" in document
