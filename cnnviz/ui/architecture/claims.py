"""What was published, beside what we count; and what there is to know about the model."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.ui.data import Shown

COUNTED: dict[str, tuple[str, Callable[[Analysis], float]]] = {
    "params": ("parameters", lambda a: a.total_params),
    "macs": ("multiply-adds", lambda a: a.macs),
    "conv_share": ("convolutions' share of the parameters", lambda a: a.conv_params / a.total_params),
    "fc_share": ("fully connected share of the parameters", lambda a: a.fc_params / a.total_params),
    "fc_macs_share": ("fully connected share of the computation", lambda a: a.macs_of("fc") / a.macs),
}
"""Published figures that we can count: in words, and how."""


def claims(current: Shown) -> None:
    """Draw the comparison and the notes, or nothing where there is neither."""
    spec, analysis = current.selection.spec, current.analysis
    lines = [line for published in spec.published if (line := compare(published, analysis))]
    notes = [*spec.notes, *analysis.notes]
    if not lines and not notes:
        return
    st.subheader("What is claimed, and what is true", anchor=False)
    rows = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(said)}</td><td><b>{escape(counted)}</b></td>"
        f"<td>{escape(source)}</td></tr>"
        for what, said, counted, source in lines
    )
    table = (
        "<table><thead><tr><th></th><th>Published</th><th>Counted here</th><th>Source</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    st.html(f'<div class="claims">{table}<ul>{listed}</ul></div>')


def compare(published: models.Published, analysis: Analysis) -> tuple[str, str, str, str] | None:
    """A published figure beside ours as (what, published, counted, source); None where we cannot count it."""
    if published.what not in COUNTED:
        return None
    what, count = COUNTED[published.what]
    share = published.what.endswith("share")
    tell = (lambda value: numbers.percent(value, 1)) if share else (lambda value: f"{value:,.0f}")
    return what, tell(published.value), tell(count(analysis)), published.source
