"""Figures of runs: curves of the compared ones or of one, published results, and accuracy against cost."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz import datasets, models
from cnnviz.figures import numbers
from cnnviz.figures.curves import (
    AUXILIARY_LOSSES,
    Line,
    Panel,
    Part,
    Reference,
    auxiliary_lines,
    curves,
    curves_alt,
)
from cnnviz.figures.pareto import Point, pareto, pareto_alt
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.runs import comparison, state
from cnnviz.ui.pages.runs.comparison import labels, short_name
from cnnviz.ui.pages.runs.state import (
    AGAINST,
    COMPARED_AT_ONCE,
    DEFAULT_METRIC,
    X_AXES,
    Against,
    PageState,
    XAxis,
)
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.model_data import overview
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.run_data import new_click, recorded_name
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnviz.tracking import Run, RunSummary

# Published results, which are labeled as published wherever they are shown.


@dataclass(frozen=True)
class Result:
    """A published accuracy in [0, 1] of a model in its default form, with its costs; None if unknown."""

    model: str
    title: str
    value: float
    on: str
    """The data set as named in the publication."""
    source: str
    parameters: int | None
    macs: int | None
    seconds: float | None

    def cost(self, against: Against) -> float | None:
        """Return the cost on that axis."""
        return {"parameters": self.parameters, "macs": self.macs, "time": self.seconds}[against]


def results() -> list[Result]:
    """Return every published accuracy of a registered model."""
    known = overview()
    published = []
    for spec in models.specs().values():
        facts = known.get(spec.name)
        for figure in spec.published:
            if figure.what == "accuracy":
                seconds = next(
                    (p.value for p in spec.published if (p.what, p.on) == ("seconds", figure.on)), None
                )
                published.append(
                    Result(
                        spec.name, spec.title, figure.value, figure.on, figure.source,
                        facts.params if facts else None, facts.macs if facts else None, seconds,
                    )
                )  # fmt: skip
    return published


def published_of(model: str, dataset: str) -> list[Result]:
    """Return the published results of a model on this kind of data."""
    return [result for result in published_on(dataset) if result.model == model]


def published_on(dataset: str) -> list[Result]:
    """Return the published results on this kind of data.

    `cifar10`, and a folder `cifar10-jpeg`, match CIFAR-10.
    """
    wanted = _plain(_title(dataset))
    return [result for result in results() if re.match(rf"{_plain(result.on)}(?![0-9])", wanted)]


def published_data() -> list[str]:
    """Return the data sets with published results, those with more than 20 results last."""
    on = [result.on for result in results()]
    return sorted(set(on), key=lambda name: (on.count(name) > 20, -on.count(name), name))


def _title(dataset: str) -> str:
    from cnnviz.tracking import data_name

    spec = datasets.specs().get(dataset)
    return spec.title if spec is not None else data_name(dataset)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


X_WORDS: dict[XAxis, str] = {"step": "Step", "epoch": "Epoch", "time": "Time in training"}
SCALES = ("linear", "log")
SMOOTHING = 0.02
HEIGHT = 380
MINUTES_FROM, HOURS_FROM = 300.0, 18_000.0
PARTS: dict[str, Part] = {"val": "validation", "test": "test"}


def overlay(runs: Sequence[RunSummary], page_state: PageState) -> None:
    """Draw the figure of the selected metric and the choices of its axes."""
    scale, wrong = url_state.choice("scale", SCALES, SCALES[0])
    notice.show([wrong] if wrong else [])
    title = numbers.metric_title(page_state.metric)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="overlay-bar"):
        st.header(title.capitalize(), anchor=False, width="content")
        axis = choose_x(page_state.x, *runs)
        _choose_scale(scale)
    timed = [run_data.curve(run, page_state.metric) for run in runs]
    missing = [run for run, timed_curve in zip(runs, timed, strict=True) if not len(timed_curve.curve)]
    if len(missing) == len(runs):
        st.caption(f"None of these runs has measured {title}. Choose another measure above.")
        return
    x_title, unit = x_axis(axis, timed)
    part = PARTS.get(page_state.metric.partition("/")[0], "train")
    lines = [
        Line(name, x_values(timed_curve, axis) / unit, timed_curve.curve.values, part, hue)
        for name, timed_curve, hue in zip(labels(runs), timed, COMPARED, strict=False)
        if len(timed_curve.curve)
    ]
    panel = Panel(
        title, lines, log=scale == "log", percent=numbers.is_fraction(page_state.metric),
        references=_references(runs, page_state.metric),
    )  # fmt: skip
    figure = curves([panel], x_title=x_title, smoothing=SMOOTHING, revision=page_state.metric)
    plot(
        figure, key="overlay", height=HEIGHT, alt=curves_alt([panel], x_title), picks=False,
        name=f"runs-{'-'.join(str(run.id) for run in runs)}-{page_state.metric.replace('/', '-')}",
    )  # fmt: skip
    if missing:
        st.caption(f"{', '.join(short_name(run) for run in missing)}: no {title} was measured.")


def choose_x(x: XAxis, *runs: RunSummary) -> XAxis:
    """Draw the choice of the horizontal axis among those that mean something for all runs; return it."""
    known = {
        "step": True,
        "epoch": all(run.counts_epochs for run in runs),
        "time": all(run.timed for run in runs),
    }
    axes = [axis for axis in X_AXES if known[axis]]
    chosen = x if x in axes else axes[0]
    if len(axes) == 1:
        return chosen
    show_value("runs-x", chosen)
    st.segmented_control(
        "To the right", axes, key="runs-x", format_func=lambda axis: X_WORDS[axis], required=True,
        label_visibility="collapsed", on_change=_chosen_x,
    )  # fmt: skip
    return chosen


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


def x_values(timed_curve: run_data.TimedCurve, axis: XAxis) -> NDArray[np.float64]:
    """Return a curve's x values on that axis; time in seconds."""
    if axis == "time":
        return timed_curve.seconds
    values = timed_curve.curve.epochs if axis == "epoch" else timed_curve.curve.steps
    return np.asarray(values, np.float64)


def x_axis(axis: XAxis, timed: Sequence[run_data.TimedCurve]) -> tuple[str, float]:
    """Return the axis title, and the divisor of its values."""
    if axis != "time":
        return axis, 1.0
    longest = max(float(timed_curve.seconds[-1]) for timed_curve in timed if len(timed_curve.curve))
    unit, name = 1.0, "seconds"
    if longest > MINUTES_FROM:
        unit, name = 60.0, "minutes"
    if longest > HOURS_FROM:
        unit, name = 3_600.0, "hours"
    return f"{name} in training", unit


def _references(runs: Sequence[RunSummary], metric: str) -> list[Reference]:
    """Return the published accuracies of the compared models on their data."""
    if metric != "test/accuracy":
        return []
    by_title = {}
    for run in runs:
        for result in published_of(run.model, run.dataset):
            text = f"{result.title}, published {100 * result.value:.1f} %"
            by_title[result.title] = Reference(text, result.value, f"{result.source}, on {result.on}")
    return list(by_title.values())


# Curves of one run: accuracy and loss of training, validation and test.

OWN_HEIGHT = 470
PANELS = (("accuracy", True), ("loss", False))
OWN_PARTS: tuple[tuple[str, Part, str], ...] = (
    ("train", "train", "training"),
    ("val", "validation", "validation"),
    ("test", "test", "test"),
)


def own_curves(run: Run, page_state: PageState) -> None:
    """Draw the run's curves, or that there are none yet."""
    timed = {name: run_data.curve(run, recorded_name(run, name)) for name in (*_names(), *AUXILIARY_LOSSES)}
    measured = {name: timed_curve for name, timed_curve in timed.items() if len(timed_curve.curve)}
    if not measured:
        st.caption("Nothing was measured yet.")
        return
    axis = choose_x(page_state.x, run)
    title, unit = x_axis(axis, list(measured.values()))
    points = {
        name: (x_values(timed_curve, axis) / unit, timed_curve.curve.values)
        for name, timed_curve in measured.items()
    }
    panels = [
        Panel(
            metric,
            [
                Line(label, *points[name], dashed, COMPARED[0])
                for part, dashed, label in OWN_PARTS
                if (name := f"{part}/{metric}") in points
            ]
            + (auxiliary_lines(points.get) if metric == "loss" else []),
            percent=percent,
        )
        for metric, percent in PANELS
    ]
    plot(
        curves(panels, x_title=title, smoothing=SMOOTHING, revision=str(run.id)), key=f"own-{run.id}",
        height=OWN_HEIGHT, alt=curves_alt(panels, title), name=f"run-{run.id}", picks=False,
    )  # fmt: skip


def _names() -> list[str]:
    return [f"{part}/{what}" for what, _ in PANELS for part, _, _ in OWN_PARTS]


PARETO_HEIGHT = 440
WORDS: dict[Against, str] = {"parameters": "Parameters", "time": "Training time", "macs": "Multiply-adds"}


def pareto_figure(runs: Sequence[RunSummary], page_state: PageState) -> None:
    """Draw the figure for the runs on the most frequent data set; a click selects a run."""
    metric = page_state.metric if page_state.metric.endswith(("accuracy", "top5")) else DEFAULT_METRIC
    measured = [run for run in runs if _value(run, metric) is not None]
    data = _data(measured, page_state)
    if data is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.header(f"{numbers.metric_title(metric).capitalize()} on {_title(data)} against",
                     anchor=False, width="content")  # fmt: skip
        _choose(page_state.against)
    same = [run for run in measured if run.data == data]
    points = _points(same, metric, page_state)
    published = _published(published_on(data), page_state.against)
    _draw(points, published, page_state, metric)
    st.caption(" ".join(_text(len(points), len(measured) - len(same), len(same), bool(published))))


def published_figure(page_state: PageState) -> None:
    """Draw the figure of published results alone, for a user without runs."""
    known = published_data()
    requested = page_state.filters.data[0] if page_state.filters.data else known[0]
    data = requested if requested in known else known[0]
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.header("Published accuracy against", anchor=False, width="content")
        _choose(page_state.against)
        show_value("runs-published", data)
        st.segmented_control(
            "on", known, key="runs-published", required=True, label_visibility="collapsed",
            on_change=lambda: state.change(on=str(st.session_state["runs-published"])),
        )  # fmt: skip
    shown = _published([result for result in results() if result.on == data], page_state.against)
    _draw([], shown, page_state, DEFAULT_METRIC)
    st.caption(
        f"Published by the models' authors and others, on {data}; nothing of it was trained here. "
        "Your runs will stand among these points."
    )


def _choose(against: Against) -> None:
    show_value("runs-against", against)
    st.segmented_control(
        "Against", AGAINST, key="runs-against", format_func=lambda cost: WORDS[cost], required=True,
        label_visibility="collapsed", on_change=_chosen,
    )  # fmt: skip


def _chosen() -> None:
    chosen = st.session_state["runs-against"]
    state.change(against=None if chosen == AGAINST[0] else chosen)


def _data(runs: Sequence[RunSummary], page_state: PageState) -> str | None:
    """Return the data set of the compared runs, or the most frequent one.

    Accuracies on different data sets are not comparable.
    """
    of_chosen = [run.data for run in runs if run.id in page_state.chosen[:COMPARED_AT_ONCE]]
    most = Counter(of_chosen or [run.data for run in runs]).most_common(1)
    return most[0][0] if most else None


def _points(runs: Sequence[RunSummary], metric: str, page_state: PageState) -> list[Point]:
    indices = {run_id: index for index, run_id in enumerate(page_state.chosen[:COMPARED_AT_ONCE])}
    points = []
    for run, cost in zip(runs, _costs(runs, page_state.against), strict=True):
        value = _value(run, metric)
        if cost and value is not None:
            note = f"{models.title_of(run.model)}, {run.epoch:.3g} epochs"
            points.append(Point(str(run.id), short_name(run), cost, value, note, indices.get(run.id)))
    return points


def _costs(runs: Sequence[RunSummary], against: Against) -> list[float | None]:
    if against == "parameters":
        return [run.params for run in runs]
    if against == "time":
        return [run.seconds if run.timed else None for run in runs]
    with st.spinner("Counting multiply-adds …", show_time=False):
        return comparison.macs_of_runs(runs)


def _value(run: RunSummary, metric: str) -> float | None:
    metric_values = run.metrics.get(metric)
    return (
        None
        if metric_values is None or metric_values.last is None or not math.isfinite(metric_values.last)
        else metric_values.last
    )


def _published(known_results: Sequence[Result], against: Against) -> list[Point]:
    return [
        Point("", result.title, cost, result.value, f"{result.source}, on {result.on}")
        for result in known_results
        if (cost := result.cost(against))
    ]


def _draw(points: Sequence[Point], published: Sequence[Point], page_state: PageState, metric: str) -> None:
    title = numbers.metric_title(metric)
    pick = new_click("trade", plot(
        pareto(points, published, page_state.against, value=title), key="trade", height=PARETO_HEIGHT,
        alt=pareto_alt(points, published, page_state.against, value=title),
        name=f"{title.replace(' ', '-')}-{page_state.against}",
    ))  # fmt: skip
    customdata = pick["customdata"] if pick is not None else None
    if isinstance(customdata, list) and customdata and str(customdata[0]).isdecimal():
        _tick(int(customdata[0]), page_state)


def _tick(run_id: int, page_state: PageState) -> None:
    others = [other for other in page_state.chosen if other != run_id]
    state.change(runs=state.listed(others if run_id in page_state.chosen else [*others, run_id]), cell=None)
    st.rerun()


def _text(drawn: int, elsewhere: int, same: int, published: bool) -> list[str]:
    sentences = ["The dotted line is the Pareto front: nothing below it is both cheaper and better."]
    if published:
        sentences.append("Hollow: published results, whose data handling, epochs and hardware differ.")
    if elsewhere:
        sentences.append(f"{elsewhere:,} run{'s' if elsewhere > 1 else ''} on other data left out.")
    if drawn < same:
        sentences.append(f"{same - drawn:,} without a known cost left out.")
    return [*sentences, "Click a point to choose its run."] if drawn else sentences
