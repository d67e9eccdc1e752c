"""Pareto view: accuracy of the listed runs against parameters, time or MACs, beside published results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.pareto import Point, pareto, pareto_alt
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.runs import comparison, state
from cnnviz.ui.pages.runs.comparison import short_name
from cnnviz.ui.pages.runs.curves import Result, published_data, published_on, results
from cnnviz.ui.pages.runs.state import AGAINST, COMPARED_AT_ONCE, DEFAULT_METRIC, Against, PageState
from cnnviz.ui.shared.runs.run_data import new_click
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

HEIGHT = 440
WORDS: dict[Against, str] = {"parameters": "Parameters", "time": "Training time", "macs": "Multiply-adds"}


def pareto_figure(runs: Sequence[RunSummary], page_state: PageState) -> None:
    """Draw the figure for the runs on the most frequent data set; a click selects a run."""
    metric = page_state.metric if page_state.metric.endswith(("accuracy", "top5")) else DEFAULT_METRIC
    measured = [run for run in runs if _value(run, metric) is not None]
    data = _data(measured, page_state)
    if data is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.header(f"{numbers.metric_title(metric).capitalize()} on {data} against",
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
            note = f"{run.model}, {run.epoch:.3g} epochs"
            points.append(Point(str(run.id), short_name(run), cost, value, note, indices.get(run.id)))
    return points


def _costs(runs: Sequence[RunSummary], against: Against) -> list[float | None]:
    if against == "parameters":
        return [run.params for run in runs]
    if against == "time":
        return [run.seconds for run in runs]
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
        pareto(points, published, page_state.against, value=title), key="trade", height=HEIGHT,
        alt=pareto_alt(points, published, page_state.against, value=title),
        name=f"{title}-{page_state.against}",
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
