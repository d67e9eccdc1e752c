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
from cnnviz.ui.shared.run_data import once
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

HEIGHT = 440
WORDS: dict[Against, str] = {"parameters": "Parameters", "time": "Training time", "macs": "Multiply-adds"}


def trade(runs: Sequence[RunSummary], asked: PageState) -> None:
    """Draw the figure for the runs on the most frequent data set; a click selects a run."""
    metric = asked.metric if asked.metric.endswith(("accuracy", "top5")) else DEFAULT_METRIC
    measured = [run for run in runs if _value(run, metric) is not None]
    data = _data(measured, asked)
    if data is None:
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.header(f"{numbers.metric_title(metric).capitalize()} on {data} against",
                     anchor=False, width="content")  # fmt: skip
        _choose(asked.against)
    same = [run for run in measured if run.data == data]
    points = _points(same, metric, asked)
    published = _published(published_on(data), asked.against)
    _draw(points, published, asked, metric)
    st.caption(" ".join(_text(len(points), len(measured) - len(same), len(same), bool(published))))


def published_trade(asked: PageState) -> None:
    """Draw the figure of published results alone, for a user without runs."""
    known = published_data()
    asked_for = asked.filters.data[0] if asked.filters.data else known[0]
    data = asked_for if asked_for in known else known[0]
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.header("Published accuracy against", anchor=False, width="content")
        _choose(asked.against)
        show_value("runs-published", data)
        st.segmented_control(
            "on", known, key="runs-published", required=True, label_visibility="collapsed",
            on_change=lambda: state.change(on=str(st.session_state["runs-published"])),
        )  # fmt: skip
    shown = _published([result for result in results() if result.on == data], asked.against)
    _draw([], shown, asked, DEFAULT_METRIC)
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


def _data(runs: Sequence[RunSummary], asked: PageState) -> str | None:
    """Return the data set of the compared runs, or the most frequent one.

    Accuracies on different data sets are not comparable.
    """
    of_chosen = [run.data for run in runs if run.id in asked.chosen[:COMPARED_AT_ONCE]]
    most = Counter(of_chosen or [run.data for run in runs]).most_common(1)
    return most[0][0] if most else None


def _points(runs: Sequence[RunSummary], metric: str, asked: PageState) -> list[Point]:
    places = {run_id: place for place, run_id in enumerate(asked.chosen[:COMPARED_AT_ONCE])}
    found = []
    for run, cost in zip(runs, _costs(runs, asked.against), strict=True):
        value = _value(run, metric)
        if cost and value is not None:
            note = f"{run.model}, {run.epoch:.3g} epochs"
            found.append(Point(str(run.id), short_name(run), cost, value, note, places.get(run.id)))
    return found


def _costs(runs: Sequence[RunSummary], against: Against) -> list[float | None]:
    if against == "parameters":
        return [run.params for run in runs]
    if against == "time":
        return [run.seconds for run in runs]
    with st.spinner("Counting multiply-adds …", show_time=False):
        return comparison.macs_of_runs(runs)


def _value(run: RunSummary, metric: str) -> float | None:
    found = run.metrics.get(metric)
    return None if found is None or found.last is None or not math.isfinite(found.last) else found.last


def _published(found: Sequence[Result], against: Against) -> list[Point]:
    return [
        Point("", result.title, cost, result.value, f"{result.source}, on {result.on}")
        for result in found
        if (cost := result.cost(against))
    ]


def _draw(points: Sequence[Point], published: Sequence[Point], asked: PageState, metric: str) -> None:
    title = numbers.metric_title(metric)
    pick = once("trade", plot(
        pareto(points, published, asked.against, value=title), key="trade", height=HEIGHT,
        alt=pareto_alt(points, published, asked.against, value=title), name=f"{title}-{asked.against}",
    ))  # fmt: skip
    told = pick["customdata"] if pick is not None else None
    if isinstance(told, list) and told and str(told[0]).isdecimal():
        _tick(int(told[0]), asked)


def _tick(run_id: int, asked: PageState) -> None:
    kept = [other for other in asked.chosen if other != run_id]
    state.change(runs=state.listed(kept if run_id in asked.chosen else [*kept, run_id]), cell=None)
    st.rerun()


def _text(drawn: int, elsewhere: int, same: int, published: bool) -> list[str]:
    said = ["The dotted line is the Pareto front: nothing below it is both cheaper and better."]
    if published:
        said.append("Hollow: published results, whose data handling, epochs and hardware differ.")
    if elsewhere:
        said.append(f"{elsewhere:,} run{'s' if elsewhere > 1 else ''} on other data left out.")
    if drawn < same:
        said.append(f"{same - drawn:,} without a known cost left out.")
    return [*said, "Click a point to choose its run."] if drawn else said
