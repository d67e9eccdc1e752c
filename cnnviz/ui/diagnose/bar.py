"""The bar on top: which run, its probes, and what can be taken along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import datasets
from cnnviz.diagnosis import recorded
from cnnviz.figures import numbers
from cnnviz.ui.diagnose import probed, state
from cnnviz.ui.diagnose.exports import exports
from cnnviz.ui.model_bar import share
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary
    from cnnviz.ui.diagnose.case import Case

KEY = "diagnose-run"
MOST = 300
"""Runs in the list; any other is reached by its address, or from Runs."""
ACCURACY = "test/accuracy"
HARDLY_LEARNED = 2.0
"""Times an even guess: a run that ended below it is marked as strange."""


def bar(case: Case | None, runs: Sequence[RunSummary]) -> None:
    """Draw it; without a case there is only the list."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="diagnose-bar"):
        _choose(case, runs)
        if case is not None and case.run is not None:
            probed.button(case.run)
        with st.container(horizontal=True, gap="xsmall", width="content", key="diagnose-actions"):
            if case is not None:
                exports(case)
            share()


def _choose(case: Case | None, runs: Sequence[RunSummary]) -> None:
    labels = {name: f"{recorded.recorded(name).title} · ships with cnnviz" for name in recorded.names()}
    labels |= {str(run.id): label(run) for run in runs[:MOST]}
    now = None
    if case is not None:
        now = case.recorded or str(case.evidence.run)
        labels.setdefault(now, f"{case.name} · {case.evidence.title}")
    show_value(KEY, now)
    st.selectbox(
        "Run", list(labels), format_func=lambda one: labels.get(one, one), key=KEY, on_change=_chosen,
        label_visibility="collapsed", placeholder="Choose a run", width=440,
    )  # fmt: skip


def label(run: RunSummary) -> str:
    """A run in the list, marked where it failed or hardly learned. What still changes is left out."""
    measured = run.metrics.get(ACCURACY)
    value = None if measured is None or run.active else measured.last
    parts = [f"Run {run.id}", run.name, *([] if value is None else [numbers.percent(value, 1)])]
    if run.status.value != "finished":
        parts.append(run.status.value)
    return f"{'▲ ' if strange(run) else ''}{' · '.join(parts)}"


def strange(run: RunSummary) -> bool:
    """Whether a run failed, or ended with little more than a guess."""
    if run.status.value == "failed":
        return True
    measured, spec = run.metrics.get(ACCURACY), datasets.specs().get(run.dataset)
    if run.status.value != "finished" or measured is None or spec is None or not spec.classes:
        return False
    return measured.last is None or measured.last < HARDLY_LEARNED / len(spec.classes)


def _chosen() -> None:
    chosen = str(st.session_state[KEY] or "")
    if chosen in recorded.names():
        state.choose(name=chosen)
    elif chosen:
        state.choose(run=int(chosen))
