"""The curves of one run: accuracy and loss of training, validation and test on one axis each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures.curves import Line, Panel, Part, curves, curves_alt
from cnnviz.figures.heads import HEADS, head_lines
from cnnviz.figures.palette import COMPARED
from cnnviz.ui.components.plot import plot
from cnnviz.ui.runs import overlay, reading

if TYPE_CHECKING:
    from cnnviz.tracking import Run
    from cnnviz.ui.runs.state import Asked

HEIGHT = 470
SMOOTHING = 0.02
PANELS = (("accuracy", True), ("loss", False))
PARTS: tuple[tuple[str, Part, str], ...] = (
    ("train", "train", "training"),
    ("val", "validation", "validation"),
    ("test", "test", "test"),
)


def own_curves(run: Run, asked: Asked) -> None:
    """Draw them, or say that there are none yet."""
    timed = {name: reading.curve(run, name) for name in (*_names(), *HEADS)}
    found = {name: one for name, one in timed.items() if len(one.curve)}
    if not found:
        st.caption("Nothing was measured yet.")
        return
    overlay.choose_x(asked.x)
    title, unit = overlay.x_axis(asked.x, list(found.values()))
    points = {name: (overlay.x_values(one, asked.x) / unit, one.curve.values) for name, one in found.items()}
    panels = [
        Panel(
            what,
            [
                Line(words, *points[name], dashed, COMPARED[0])
                for part, dashed, words in PARTS
                if (name := f"{part}/{what}") in points
            ]
            + (head_lines(points.get) if what == "loss" else []),
            percent=percent,
        )
        for what, percent in PANELS
    ]
    plot(
        curves(panels, x_title=title, smoothing=SMOOTHING, revision=str(run.id)), key=f"own-{run.id}",
        height=HEIGHT, alt=curves_alt(panels, title), name=f"run-{run.id}", picks=False,
    )  # fmt: skip


def _names() -> list[str]:
    return [f"{part}/{what}" for what, _ in PANELS for part, _, _ in PARTS]
