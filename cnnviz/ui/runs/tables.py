"""Small tables with a column a run, each headed by its hue."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from cnnviz.figures.palette import COMPARED

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary


class Line(NamedTuple):
    """A row: its title, what pointing at the title tells, a value a run, and which values are the best."""

    title: str
    help: str
    values: Sequence[str]
    best: Sequence[int] = ()


def run_columns(lines: Sequence[Line], runs: Sequence[RunSummary], label: str) -> None:
    """Draw the table."""
    heads = "".join(
        f'<th scope="col"><i style="background:{hue.css}"></i>{escape(short_name(run))}</th>'
        for run, hue in zip(runs, COMPARED, strict=False)
    )
    st.html(
        f'<div class="run-columns" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(map(_row, lines))}</tbody></table></div>"
    )


def short_name(run: RunSummary) -> str:
    """A run where room is scarce: its number, and its name cut."""
    name = run.name if len(run.name) <= 28 else f"{run.name[:27]}…"
    return f"{run.id} · {name}"


def best_of(values: Sequence[float | None], lower: bool) -> tuple[int, ...]:
    """The places of the best of at least two values that are not all the same."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or min(known) == max(known):
        return ()
    wanted = min(known) if lower else max(known)
    return tuple(place for place, value in enumerate(values) if value == wanted)


def _row(line: Line) -> str:
    title = f'<th scope="row" title="{escape(line.help)}">{escape(line.title)}</th>'
    cells = "".join(
        f"<td><b>{escape(value)}</b></td>" if place in line.best else f"<td>{escape(value)}</td>"
        for place, value in enumerate(line.values)
    )
    return f"<tr>{title}{cells}</tr>"
