"""The curves of the compared runs over one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import measures
from cnnviz.figures.curves import Line, Panel, Part, Reference, curves, curves_alt
from cnnviz.figures.palette import COMPARED
from cnnviz.ui import notice, url_state
from cnnviz.ui.components.plot import plot
from cnnviz.ui.runs import reading, state
from cnnviz.ui.runs.published import published_of
from cnnviz.ui.runs.state import X_AXES, Asked, XAxis
from cnnviz.ui.runs.tables import short_name
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnviz.tracking import RunSummary

X_WORDS: dict[XAxis, str] = {"step": "Step", "epoch": "Epoch", "time": "Time in training"}
SCALES = ("linear", "log")
SMOOTHING = 0.02
HEIGHT = 380
MINUTES_FROM, HOURS_FROM = 300.0, 18_000.0
PARTS: dict[str, Part] = {"val": "validation", "test": "test"}


def overlay(runs: Sequence[RunSummary], asked: Asked) -> None:
    """Draw the figure and the choices of its axes."""
    scale, wrong = url_state.choice("scale", SCALES, SCALES[0])
    notice.say([wrong] if wrong else [])
    title = measures.metric_title(asked.metric)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="overlay-bar"):
        st.subheader(title.capitalize(), anchor=False, width="content")
        choose_x(asked.x)
        _choose_scale(scale)
    timed = [reading.curve(run, asked.metric) for run in runs]
    missing = [run for run, found in zip(runs, timed, strict=True) if not len(found.curve)]
    if len(missing) == len(runs):
        st.caption(f"None of these runs has measured {title}. Choose another measure above.")
        return
    x_title, unit = x_axis(asked.x, timed)
    part = PARTS.get(asked.metric.partition("/")[0], "train")
    lines = [
        Line(short_name(run), x_values(found, asked.x) / unit, found.curve.values, part, hue)
        for run, found, hue in zip(runs, timed, COMPARED, strict=False)
        if len(found.curve)
    ]
    panel = Panel(
        title, lines, log=scale == "log", percent=measures.is_fraction(asked.metric),
        references=_references(runs, asked.metric),
    )  # fmt: skip
    figure = curves([panel], x_title=x_title, smoothing=SMOOTHING, revision=asked.metric)
    plot(
        figure, key="overlay", height=HEIGHT, alt=curves_alt([panel], x_title), picks=False,
        name=f"runs-{'-'.join(str(run.id) for run in runs)}-{asked.metric.replace('/', '-')}",
    )  # fmt: skip
    if missing:
        st.caption(f"{', '.join(short_name(run) for run in missing)}: no {title} was measured.")


def choose_x(x: XAxis) -> None:
    """Draw the choice of what runs to the right."""
    show_value("runs-x", x)
    st.segmented_control(
        "To the right", X_AXES, key="runs-x", format_func=lambda axis: X_WORDS[axis], required=True,
        label_visibility="collapsed", on_change=_chosen_x,
    )  # fmt: skip


def _choose_scale(scale: str) -> None:
    show_value("runs-scale", scale)
    st.segmented_control(
        "Scale", SCALES, key="runs-scale", format_func=str.capitalize, required=True,
        label_visibility="collapsed", on_change=_chosen_scale,
    )  # fmt: skip


def _chosen_x() -> None:
    chosen = st.session_state["runs-x"]
    state.change(x=None if chosen == X_AXES[0] else chosen)


def _chosen_scale() -> None:
    chosen = st.session_state["runs-scale"]
    state.change(scale=None if chosen == SCALES[0] else chosen)


def x_values(found: reading.Timed, axis: XAxis) -> NDArray[np.float64]:
    """A curve's places on that axis; time in seconds."""
    if axis == "time":
        return found.seconds
    values = found.curve.epochs if axis == "epoch" else found.curve.steps
    return np.asarray(values, np.float64)


def x_axis(axis: XAxis, timed: Sequence[reading.Timed]) -> tuple[str, float]:
    """The axis' title and what its values are divided by."""
    if axis != "time":
        return axis, 1.0
    longest = max(float(found.seconds[-1]) for found in timed if len(found.curve))
    unit, name = 1.0, "seconds"
    if longest > MINUTES_FROM:
        unit, name = 60.0, "minutes"
    if longest > HOURS_FROM:
        unit, name = 3_600.0, "hours"
    return f"{name} in training", unit


def _references(runs: Sequence[RunSummary], metric: str) -> list[Reference]:
    """The published accuracies of the models that are compared, on the data they were trained on."""
    if metric != "test/accuracy":
        return []
    found = {}
    for run in runs:
        for result in published_of(run.model, run.dataset):
            text = f"{result.title}, published {100 * result.value:.1f} %"
            found[result.title] = Reference(text, result.value, f"{result.source}, on {result.on}")
    return list(found.values())
