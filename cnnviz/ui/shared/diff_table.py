"""Difference of two architectures as a sentence and as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from cnnviz.analysis.diff import STATUSES, Diff
from cnnviz.analysis.types import Row
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED, KIND_COLORS, Color, Theme
from cnnviz.formats import escape_formula
from cnnviz.ui.shared import notice, url_state

if TYPE_CHECKING:
    import pandas as pd

ROW_HEIGHT, TALLEST = 35, 560
CHANGED_WIDTH, SETTINGS_WIDTH = 310, 175
"""Column widths in pixels: the changes are what the table is read for, so they shrink last."""
Side = Literal["a", "b"]
VIEWS = ("differences", "all")
CHANGED = Color("#0b6472", "#1a7886")
"""The app's accent color, which is not that of a layer kind or a model."""
CSV_MIME, MARKDOWN_MIME = "text/csv", "text/markdown"


@dataclass(frozen=True)
class Sides:
    """Names of the two sides, and a function that describes one of their rows in a few words."""

    a: str
    b: str
    tell: Callable[[Side, Row], str]
    counted: bool = True
    """Whether shapes and parameters are known."""


def diff_sentence(diff: Diff, sides: Sides) -> str:
    """Describe how many layers are the same, changed, added and removed."""
    counts = diff.counts
    if not diff.differences:
        return f"All {len(diff.changes)} layers are the same."
    layers = f"{counts['same']} the same, {counts['changed']} changed"
    return f"{layers}, {counts['removed']} only in {sides.a}, {counts['added']} only in {sides.b}."


def diff_frame(diff: Diff, sides: Sides, only_differences: bool) -> pd.DataFrame:
    """Return the difference as a data frame, one row per change; column names are unique for any sides."""
    import pandas as pd

    lines = diff.differences if only_differences else diff.changes
    frame = pd.DataFrame(
        [
            {
                "status": [change.status],
                "changed": " · ".join(change.details),
                **_side("a", change.a, sides),
                **_side("b", change.b, sides),
            }
            for change in lines
        ],
        columns=["status", "changed", *(f"{what} {side}" for side in "ab" for what in WHATS)],
    )
    # Nullable integers, since missing values would turn the columns into floats.
    return frame.astype({"parameters a": "Int64", "parameters b": "Int64"})


WHATS = ("layer", "settings", "output", "parameters")


def _side(side: Side, row: Row | None, sides: Sides) -> dict[str, Any]:
    if row is None:
        return {f"{what} {side}": None for what in WHATS}
    cells = (
        row.name or "(model)",
        sides.tell(side, row),
        numbers.shape(row.output_shape) if sides.counted else None,
        row.params if sides.counted else None,
    )
    return {f"{what} {side}": value for what, value in zip(WHATS, cells, strict=True)}


def diff_table(diff: Diff, sides: Sides, *, key: str, file: str) -> None:
    """Draw the table of differences or of all layers, and its downloads."""
    chosen, wrong = url_state.choice("view", VIEWS, VIEWS[0])
    notice.show([wrong] if wrong else [])
    st.session_state[f"{key}-only"] = chosen == "differences"
    frame = diff_frame(diff, sides, chosen == "differences")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.toggle("Only differences", key=f"{key}-only", on_change=_toggled, args=(f"{key}-only",))
        for label, suffix, mime, text in (
            ("CSV", "csv", CSV_MIME, partial(to_csv, frame)),
            ("Markdown", "md", MARKDOWN_MIME, partial(to_markdown, frame, sides)),
        ):
            st.download_button(
                label, text, f"{file}.{suffix}", mime, key=f"{key}-{suffix}", on_click="ignore",
                type="tertiary", icon=":material/download:",
            )  # fmt: skip
    if frame.empty:
        st.caption("There is no difference to show.")
        return
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        placeholder="",
        height=min(TALLEST, ROW_HEIGHT * (len(frame) + 1) + 3),
        column_order=_order(frame),
        column_config=_columns(sides),
        alt=f"Difference of {sides.a} and {sides.b}: {diff_sentence(diff, sides)}",
    )


def _toggled(key: str) -> None:
    url_state.change(view=None if st.session_state[key] else "all")


def _order(frame: pd.DataFrame) -> list[str]:
    """Return the columns as they are drawn: a narrow window shows which layer changed, and how."""
    first = ["status", "layer a", "layer b", "changed"]
    return [*first, *(name for name in map(str, frame.columns) if name not in first)]


def _columns(sides: Sides) -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    theme: Theme = "dark" if st.context.theme.type == "dark" else "light"
    # In the order of STATUSES: unchanged is gray, a layer of one side only has that side's color.
    colours = [KIND_COLORS["activation"], CHANGED, COMPARED[1], COMPARED[0]]
    columns: dict[str, Any] = {
        "status": st.column_config.MultiselectColumn(
            "Status", options=list(STATUSES), color=[colour.of(theme) for colour in colours], width="small"
        ),
        "changed": text("What changed", width=CHANGED_WIDTH),
    }
    for side, title in (("a", sides.a), ("b", sides.b)):
        columns |= {
            f"layer {side}": text(title[:1].upper() + title[1:]),
            f"settings {side}": text("Set to", width=SETTINGS_WIDTH),
            f"output {side}": text("Output", width="small"),
            f"parameters {side}": number("Parameters", format="localized"),
        }
    return columns


def to_csv(frame: pd.DataFrame) -> str:
    """Return the table as CSV."""
    table = frame.assign(status=frame["status"].str[0])
    safe = table.rename(columns=escape_formula).map(escape_formula)
    text: str = safe.to_csv(index=False)
    return text


def to_markdown(frame: pd.DataFrame, sides: Sides) -> str:
    """Return the table as Markdown, with escaped bars in cells."""
    heads = ["", "What changed"] + [f"{what} ({title})" for title in (sides.a, sides.b) for what in WHATS]
    table = frame.assign(status=frame["status"].str[0]).astype(object)
    cells = table.where(table.notna(), "").astype(str).to_numpy().tolist()
    lines = [heads, ["---"] * len(heads), *cells]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
