"""The totals of models side by side, as a table and as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import streamlit as st

from cnnviz.analysis.depth import depth
from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED
from cnnviz.formats.csv_text import csv_text
from cnnviz.sentences import percent
from cnnviz.ui.data import Shown

Line = tuple[str, tuple[str, ...]]


def lines(shown: Sequence[Shown], batch: int) -> list[Line]:
    """Each measure with the exact figure of every model; measures that no model has are left out."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    counted: tuple[tuple[str, Callable[[Analysis], str]], ...] = (
        ("Input", lambda a: numbers.shape(a.input_shape)),
        ("Classes", lambda a: numbers.exact(a.classes)),
        ("Parameters", lambda a: numbers.exact(a.total_params)),
        ("… in convolutions", lambda a: _with_share(a.conv_params, a.total_params)),
        ("… fully connected", lambda a: _with_share(a.fc_params, a.total_params)),
        ("… in normalisation", lambda a: _with_share(a.norm_params, a.total_params)),
        ("… other", lambda a: _with_share(a.other_params, a.total_params)),
        ("Multiply-adds", lambda a: numbers.exact(a.macs)),
        ("Memory of parameters", lambda a: numbers.mib(a.parameter_bytes)),
        (f"Forward/backward, {images}", lambda a: numbers.mib(a.training_bytes(batch))),
        ("Depth (layers with weights, longest path)", lambda a: numbers.exact(depth(a))),
        ("Rows of the table of layers", lambda a: numbers.exact(len(a.rows))),
    )
    found = [(title, tuple(tell(one.analysis) for one in shown)) for title, tell in counted]
    found.append(("Published accuracy", tuple(_accuracy(one) for one in shown)))
    return [(title, values) for title, values in found if set(values) != {"—"}]


def _with_share(part: int, whole: int) -> str:
    return f"{numbers.exact(part)} ({numbers.percent(part / whole, 1)})" if part else "—"


def _accuracy(one: Shown) -> str:
    """The published accuracy, with what it was measured on; it is the registered model's."""
    found = next((p for p in one.selection.spec.published if p.what == "accuracy"), None)
    if found is None:
        return "—"
    return f"{percent(found.value, 2)} on {found.on}" if found.on else percent(found.value, 2)


def totals_table(shown: Sequence[Shown], names: Sequence[str], batch: int) -> None:
    """Draw the table, and its downloads."""
    found = lines(shown, batch)
    st.html(_html(found, names))
    with st.container(horizontal=True, gap="small"):
        for label, suffix, mime, write in (
            ("CSV", "csv", "text/csv", to_csv),
            ("Markdown", "md", "text/markdown", to_markdown),
        ):
            st.download_button(
                label, partial(write, found, names), f"side-by-side.{suffix}", mime, key=f"totals-{suffix}",
                on_click="ignore", type="tertiary", icon=":material/download:",
            )  # fmt: skip


def _html(found: Sequence[Line], names: Sequence[str]) -> str:
    heads = "".join(
        f'<th scope="col"><i style="background:{hue.css}"></i>{escape(name)}</th>'
        for name, hue in zip(names, COMPARED, strict=False)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for title, values in found
    )
    return (
        f'<div class="totals" tabindex="0" role="region" aria-label="Totals"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def to_csv(found: Sequence[Line], names: Sequence[str]) -> str:
    """The table as CSV."""
    return csv_text(["", *names], ([title, *values] for title, values in found))


def to_markdown(found: Sequence[Line], names: Sequence[str]) -> str:
    """The table as Markdown; numbers to the right."""
    rows = [["", *names], ["---", *["---:"] * len(names)], *([title, *values] for title, values in found)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
