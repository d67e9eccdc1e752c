"""What the URL of the page of runs may ask for, and what a click in the table writes to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.tracking import Status
from cnnviz.ui.pages.runs import page, state
from cnnviz.ui.pages.runs.state import Cell, Filters

NAMES = st.sampled_from(
    ("runs", "run", *state.FILTERS, "metric", "sort", "page", "deleted", "x", "against", "cell", "pair")
)
VALUES = st.text(max_size=30) | st.sampled_from(["1,2,3", "-best", "finished", "yes", "time", "7,3,5", "2,1"])


def test_nothing_asks_for_everything_newest_first() -> None:
    result = state.read({}, [])
    assert (result.sort, result.descending, result.page, result.chosen) == ("id", True, 1, ())
    assert (result.metric, result.x, result.against, result.cell, result.run) == (
        "test/accuracy", "step", "parameters", None, None,
    )  # fmt: skip
    assert result.filters == Filters()
    assert result.problems == ()


def test_what_is_asked_for_is_read() -> None:
    result = state.read(
        {
            "runs": "3,7,3,9", "find": " wide ", "status": "finished,failed", "of": "a,b", "sort": "-best",
            "page": "4", "deleted": "yes", "x": "time", "against": "macs", "pair": "3,1", "cell": "7,3,5",
            "run": "12",
        },
        [],
    )  # fmt: skip
    assert result.chosen == (3, 7, 9)
    assert result.filters == Filters("wide", (Status.FINISHED, Status.FAILED), ("a", "b"))
    assert (result.sort, result.descending, result.page, result.deleted) == ("best", True, 4, True)
    assert (result.x, result.against, result.pair, result.cell, result.run) == (
        "time", "macs", (2, 0), Cell(7, 3, 5), 12,
    )  # fmt: skip
    assert result.problems == ()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"runs": "1,x"}, "“x”"),
        ({"status": "asleep"}, "a run is queued"),
        ({"sort": "colour"}, "it can be id, name"),
        ({"page": "0"}, "only a whole number from 1"),
        ({"deleted": "maybe"}, "no or yes"),
        ({"x": "mass"}, "step or epoch or time"),
        ({"against": "love"}, "parameters or time or macs"),
        ({"cell": "1,2"}, "a run, a true class and an answer"),
        ({"pair": "1,9", "runs": "1,2"}, "two of the 2 runs"),
        ({"run": "first"}, "“first”"),
        ({"runs": ",".join(map(str, range(1, 300)))}, "At most 200"),
    ],
)
def test_what_is_wrong_is_said(parameters: dict[str, str], words: str) -> None:
    (text,) = state.read(parameters, []).problems
    assert words in text


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_whatever_stands_there_something_is_shown(parameters: dict[str, str]) -> None:
    result = state.read(parameters, [])
    assert result.sort in state.COLUMNS
    assert result.page >= 1
    assert len(result.chosen) <= state.MAX_CHOSEN
    assert all(run > 0 for run in result.chosen)


@pytest.mark.parametrize(
    ("act", "written"),
    [
        ({"do": "choose", "runs": [7, 3]}, {"runs": "7,3", "pair": None, "cell": None}),
        ({"do": "choose", "runs": []}, {"runs": None, "pair": None, "cell": None}),
        ({"do": "choose", "runs": ["7"]}, None),
        ({"do": "open", "run": 7}, {"run": "7"}),
        ({"do": "open", "run": "7"}, None),
        ({"do": "sort", "column": "best"}, {"sort": "-best"}),
        ({"do": "sort", "column": "name"}, {"sort": "name"}),
        ({"do": "sort", "column": "id"}, {"sort": "id"}),
        ({"do": "sort", "column": "; drop"}, None),
        ({"do": "page", "page": 2}, {"page": "2"}),
        ({"do": "page", "page": 1}, {"page": None}),
        ({"do": "page", "page": -1}, None),
        ({"do": "dance"}, None),
        ({}, None),
    ],
)
def test_a_deed_in_the_table_is_checked_and_written(
    monkeypatch: pytest.MonkeyPatch, act: dict[str, Any], written: dict[str, str | None] | None
) -> None:
    text: list[dict[str, str | None]] = []
    monkeypatch.setattr(state, "change", lambda **changes: text.append(changes))
    page.apply_table_action(act, state.read({}, []))
    assert text == ([] if written is None else [written])


def test_a_second_click_on_a_heading_turns_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    text: list[dict[str, str | None]] = []
    monkeypatch.setattr(state, "change", lambda **changes: text.append(changes))
    page.apply_table_action({"do": "sort", "column": "best"}, state.read({"sort": "-best"}, []))
    page.apply_table_action({"do": "sort", "column": "id"}, state.read({"sort": "id"}, []))
    assert text == [{"sort": "best"}, {"sort": None}]
