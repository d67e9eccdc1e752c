"""URL state of the Runs page: filters, order, selected runs, comparison.

Lists are comma-separated: `runs=3,7,9`, `status=finished,failed`. Errors become problems.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import streamlit as st

from cnnviz.tracking import Status
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.url_state import quoted

COLUMNS = (
    *("id", "name", "status", "model", "data", "last", "best", "time", "speed", "params", "disk"),
    "begun",
)
"""Columns of the table, in order; it can be sorted by each."""
FIXED_COLUMNS = ("id", "name")
"""Columns that are always shown, since they open a run."""
DEFAULT_SORT = "-id"
DEFAULT_METRIC = "test/accuracy"
COMPARED_AT_ONCE = 4
"""Maximum number of compared runs, which is the number of colors in `COMPARED`."""
MAX_CHOSEN = 200
FILTERS = ("find", "status", "of", "on", "tag")

XAxis = Literal["step", "epoch", "time"]
Against = Literal["parameters", "time", "macs"]
X_AXES: tuple[XAxis, ...] = ("step", "epoch", "time")
AGAINST: tuple[Against, ...] = ("parameters", "time", "macs")


@dataclass(frozen=True)
class Filters:
    """Filters of the list; an empty one matches all runs."""

    find: str = ""
    """Words that must all occur in number, name, notes, tags, model, data or error."""
    statuses: tuple[Status, ...] = ()
    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether any filter is set."""
        return self != Filters()


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: images of class `true` that the run predicted as `answer`."""

    run: int
    true: int
    answer: int


@dataclass(frozen=True)
class PageState:
    """URL state of the page."""

    filters: Filters
    metric: str
    sort: str
    descending: bool
    page: int
    deleted: bool
    chosen: tuple[int, ...]
    """Selected runs in the order of selection; the first four are compared."""
    run: int | None
    """The run whose details are shown in place of the list."""
    x: XAxis
    against: Against
    pair: tuple[int, int]
    """Indices among the compared runs, from 0, of the two whose matrices are subtracted."""
    cell: Cell | None
    columns: tuple[str, ...] = COLUMNS
    """Shown columns of the table, in its order."""
    problems: tuple[str, ...] = ()


def current() -> PageState:
    """Read the state from the page's URL."""
    return read(st.query_params.to_dict(), list(url_state.current().problems))


def read(parameters: Mapping[str, str], problems: list[str]) -> PageState:
    """Validate the parameters; every error becomes a sentence in `problems`."""
    sort = parameters.get("sort", DEFAULT_SORT)
    if sort.removeprefix("-") not in COLUMNS:
        problems.append(
            f"“sort” cannot be {quoted(sort)}; it can be {', '.join(COLUMNS)}, with a - before it."
        )
        sort = DEFAULT_SORT
    chosen = _numbers(parameters.get("runs", ""), problems)
    return PageState(
        filters=_filters(parameters, problems),
        metric=parameters.get("metric", DEFAULT_METRIC),
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        page=_whole("page", parameters.get("page"), problems) or 1,
        deleted=_choice(parameters, "deleted", ("no", "yes"), problems) == "yes",
        chosen=chosen,
        run=_whole("run", parameters.get("run"), problems),
        x=cast("XAxis", _choice(parameters, "x", X_AXES, problems)),
        against=cast("Against", _choice(parameters, "against", AGAINST, problems)),
        pair=_pair(parameters.get("pair"), min(len(chosen), COMPARED_AT_ONCE), problems),
        cell=_cell(parameters.get("cell"), problems),
        columns=_columns(parameters.get("columns"), problems),
        problems=tuple(problems),
    )


def change(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks; a change of the list resets the page."""
    if set(changes) & {*FILTERS, "sort", "deleted"}:
        changes = {"page": None, **changes}
    url_state.change(**changes)


def listed(values: Sequence[str] | Sequence[int]) -> str | None:
    """Format values for the URL; None if there are none."""
    return ",".join(map(str, values)) or None


def _columns(text: str | None, problems: list[str]) -> tuple[str, ...]:
    if text is None:
        return COLUMNS
    requested = [part for part in text.split(",") if part]
    for name in requested:
        if name not in COLUMNS:
            problems.append(f"“columns” cannot hold {quoted(name)}; it can hold {', '.join(COLUMNS)}.")
    return tuple(name for name in COLUMNS if name in (*FIXED_COLUMNS, *requested))


def _filters(parameters: Mapping[str, str], problems: list[str]) -> Filters:
    statuses = []
    for name in _several(parameters, "status"):
        if name in set(Status):
            statuses.append(Status(name))
        else:
            problems.append(f"“status” cannot be {quoted(name)}; a run is {', '.join(Status)}.")
    return Filters(
        parameters.get("find", "").strip(),
        tuple(statuses),
        *(_several(parameters, name) for name in ("of", "on", "tag")),
    )


def _several(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in parameters.get(name, "").split(",") if part))


def _choice(parameters: Mapping[str, str], name: str, values: tuple[str, ...], problems: list[str]) -> str:
    """Return one of `values`, the first by default."""
    given = parameters.get(name, values[0])
    if given in values:
        return given
    problems.append(f"{quoted(name)} cannot be {quoted(given)}; it can be {' or '.join(values)}.")
    return values[0]


def _whole(name: str, text: str | None, problems: list[str]) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,15}", text) and int(text):
        return int(text)
    problems.append(f"{quoted(name)} cannot be {quoted(text)}, only a whole number from 1 on.")
    return None


def _numbers(text: str, problems: list[str]) -> tuple[int, ...]:
    parts = list(dict.fromkeys(part for part in text.split(",") if part))
    numbers = [number for part in parts if (number := _whole("runs", part, problems)) is not None]
    if len(numbers) > MAX_CHOSEN:
        problems.append(f"At most {MAX_CHOSEN} runs can be chosen; the rest is left out.")
    return tuple(numbers[:MAX_CHOSEN])


def _pair(text: str | None, count: int, problems: list[str]) -> tuple[int, int]:
    if text is None or count < 2:
        return 0, 1
    match = re.fullmatch(r"([1-9]),([1-9])", text)
    places = (int(match[1]) - 1, int(match[2]) - 1) if match else (0, 0)
    if places[0] != places[1] and max(places) < count:
        return places
    problems.append(f"“pair” cannot be {quoted(text)}, only the places of two of the {count} runs, as 1,2.")
    return 0, 1


def _cell(text: str | None, problems: list[str]) -> Cell | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,15}),([0-9]{1,6}),([0-9]{1,6})", text)
    if match:
        return Cell(*map(int, match.groups()))
    problems.append(f"“cell” cannot be {quoted(text)}, only a run, a true class and an answer, as 7,3,5.")
    return None
