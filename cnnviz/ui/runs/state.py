"""What the page's URL asks for: which runs are listed, in what order, which are compared, and how.

Lists stand with commas: `runs=3,7,9`, `status=finished,failed`. Nothing wrong is swallowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import streamlit as st

from cnnviz.tracking import Status
from cnnviz.ui import url_state
from cnnviz.ui.url_state import quoted

COLUMNS = (
    *("id", "name", "status", "model", "data", "last", "best", "time", "speed", "params", "disk"),
    "begun",
)
"""What the table can be sorted by, in its order."""
DEFAULT_SORT = "-id"
DEFAULT_METRIC = "test/accuracy"
COMPARED_AT_ONCE = 4
"""As many as there are hues for what is compared."""
MOST_CHOSEN = 200
FILTERS = ("find", "status", "of", "on", "tag")

XAxis = Literal["step", "epoch", "time"]
Against = Literal["parameters", "time", "macs"]
X_AXES: tuple[XAxis, ...] = ("step", "epoch", "time")
AGAINST: tuple[Against, ...] = ("parameters", "time", "macs")


@dataclass(frozen=True)
class Filters:
    """Which runs are listed; an empty part leaves all in."""

    find: str = ""
    """Words that name, notes, tags, model, data or error must hold, each of them."""
    statuses: tuple[Status, ...] = ()
    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return self != Filters()


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: images of class `true` that the run answered with `answer`."""

    run: int
    true: int
    answer: int


@dataclass(frozen=True)
class Asked:
    """All of it."""

    filters: Filters
    metric: str
    sort: str
    descending: bool
    page: int
    deleted: bool
    chosen: tuple[int, ...]
    """Runs that are ticked, in the order they were; the first four are compared."""
    run: int | None
    """The one whose details are shown in place of the list."""
    x: XAxis
    against: Against
    pair: tuple[int, int]
    """The two whose matrices are subtracted, as places among the compared, from 0."""
    cell: Cell | None
    problems: tuple[str, ...] = ()


def current() -> Asked:
    """What the page's URL asks for."""
    return read(st.query_params.to_dict(), list(url_state.current().problems))


def read(parameters: Mapping[str, str], said: list[str]) -> Asked:
    """Validate the parameters; every fault becomes a sentence in `problems`."""
    sort = parameters.get("sort", DEFAULT_SORT)
    if sort.removeprefix("-") not in COLUMNS:
        said.append(f"“sort” cannot be {quoted(sort)}; it can be {', '.join(COLUMNS)}, with a - before it.")
        sort = DEFAULT_SORT
    chosen = _numbers(parameters.get("runs", ""), said)
    return Asked(
        filters=_filters(parameters, said),
        metric=parameters.get("metric", DEFAULT_METRIC),
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        page=_whole("page", parameters.get("page"), said) or 1,
        deleted=_choice(parameters, "deleted", ("no", "yes"), said) == "yes",
        chosen=chosen,
        run=_whole("run", parameters.get("run"), said),
        x=cast("XAxis", _choice(parameters, "x", X_AXES, said)),
        against=cast("Against", _choice(parameters, "against", AGAINST, said)),
        pair=_pair(parameters.get("pair"), min(len(chosen), COMPARED_AT_ONCE), said),
        cell=_cell(parameters.get("cell"), said),
        problems=tuple(said),
    )


def change(**changes: str | None) -> None:
    """Write to the URL, for callbacks; a change of what is listed goes back to the first page."""
    if set(changes) & {*FILTERS, "sort", "deleted"}:
        changes = {"page": None, **changes}
    url_state.change(**changes)


def listed(values: Sequence[str] | Sequence[int]) -> str | None:
    """Values as they stand in the URL; None for none."""
    return ",".join(map(str, values)) or None


def _filters(parameters: Mapping[str, str], said: list[str]) -> Filters:
    statuses = []
    for name in _several(parameters, "status"):
        if name in set(Status):
            statuses.append(Status(name))
        else:
            said.append(f"“status” cannot be {quoted(name)}; a run is {', '.join(Status)}.")
    return Filters(
        parameters.get("find", "").strip(),
        tuple(statuses),
        *(_several(parameters, name) for name in ("of", "on", "tag")),
    )


def _several(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in parameters.get(name, "").split(",") if part))


def _choice(parameters: Mapping[str, str], name: str, values: tuple[str, ...], said: list[str]) -> str:
    """One of `values`, the first by default."""
    given = parameters.get(name, values[0])
    if given in values:
        return given
    said.append(f"{quoted(name)} cannot be {quoted(given)}; it can be {' or '.join(values)}.")
    return values[0]


def _whole(name: str, text: str | None, said: list[str]) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,15}", text) and int(text):
        return int(text)
    said.append(f"{quoted(name)} cannot be {quoted(text)}, only a whole number from 1 on.")
    return None


def _numbers(text: str, said: list[str]) -> tuple[int, ...]:
    parts = list(dict.fromkeys(part for part in text.split(",") if part))
    found = [number for part in parts if (number := _whole("runs", part, said)) is not None]
    if len(found) > MOST_CHOSEN:
        said.append(f"At most {MOST_CHOSEN} runs can be chosen; the rest is left out.")
    return tuple(found[:MOST_CHOSEN])


def _pair(text: str | None, count: int, said: list[str]) -> tuple[int, int]:
    if text is None or count < 2:
        return 0, 1
    match = re.fullmatch(r"([1-9]),([1-9])", text)
    places = (int(match[1]) - 1, int(match[2]) - 1) if match else (0, 0)
    if places[0] != places[1] and max(places) < count:
        return places
    said.append(f"“pair” cannot be {quoted(text)}, only the places of two of the {count} runs, as 1,2.")
    return 0, 1


def _cell(text: str | None, said: list[str]) -> Cell | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,15}),([0-9]{1,6}),([0-9]{1,6})", text)
    if match:
        return Cell(*map(int, match.groups()))
    said.append(f"“cell” cannot be {quoted(text)}, only a run, a true class and an answer, as 7,3,5.")
    return None
