"""What was published, beside what we count; and what there is to know about the model."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.figures import measures, numbers
from cnnviz.ui.data import Shown

COUNTED: dict[str, tuple[str, Callable[[Analysis], float]]] = {
    "params": ("parameters", lambda a: a.total_params),
    "macs": ("multiply-adds", lambda a: a.macs),
    "conv_share": ("convolutions' share of the parameters", lambda a: a.conv_params / a.total_params),
    "fc_share": ("fully connected share of the parameters", lambda a: a.fc_params / a.total_params),
    "fc_macs_share": ("fully connected share of the computation", lambda a: a.macs_of("fc") / a.macs),
}
"""Published figures that we can count: in words, and how."""
MEASURED = {
    "accuracy": "test accuracy",
    "accuracy_top5": "top-5 test accuracy",
    "error_top5": "top-5 error",
    "train_accuracy": "training accuracy",
    "loss": "test loss",
    "seconds": "training time",
}
"""Published figures that only training gives."""


def claims(current: Shown) -> None:
    """Draw the comparison and the notes, or nothing where there is neither."""
    spec, analysis = current.selection.spec, current.analysis
    lines = [compare(published, analysis) for published in spec.published]
    notes = [*spec.notes, *analysis.notes]
    if not lines and not notes:
        return
    st.subheader("What is claimed, and what is true", anchor=False)
    rows = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(said)}</td><td>{escape(counted)}</td><td>{escape(source)}</td></tr>"
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


def compare(published: models.Published, analysis: Analysis) -> tuple[str, str, str, str]:
    """A published figure beside ours as (what, published, counted, source).

    Where it cannot be counted without training, that is what stands beside it.
    """
    if published.what in COUNTED:
        what, count = COUNTED[published.what]
        tell = _as_share if published.what.endswith("share") else _as_count
        return what, tell(published.value), tell(count(analysis)), published.source
    what = MEASURED.get(published.what, published.what.replace("_", " "))
    on = f" on {published.on}" if published.on else ""
    write = MEASURES.get(published.what, _as_share)
    return f"{what}{on}", write(published.value), "takes training", published.source


def _as_share(value: float) -> str:
    return numbers.percent(value, 1)


def _as_count(value: float) -> str:
    return f"{value:,.0f}"


MEASURES: dict[str, Callable[[float], str]] = {"loss": "{:g}".format, "seconds": measures.duration}
"""How a measured figure is written that is no share."""
