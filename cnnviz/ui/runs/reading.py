"""What the page reads of single runs, kept until a run has gone on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cnnviz.figures.report.gather import class_names
from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnviz.tracking import Curve, Database, RunSummary

KEPT = 200
POINTS = 1_000
"""Of a curve; a figure is about as many pixels wide."""


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: `counts[true, answer]`, int64 `(K, K)`, after how many epochs."""

    counts: NDArray[np.int64]
    classes: tuple[str, ...]
    step: int
    epoch: float


@dataclass(frozen=True)
class Timed:
    """A metric's curve, and the seconds in training at each of its points."""

    curve: Curve
    seconds: NDArray[np.float64]


def curve(run: RunSummary, metric: str) -> Timed:
    """One metric of a run."""
    opened = store.database()
    return _curve(opened, opened.where, run.id, metric, _state(run))


def matrix(run: RunSummary, kind: str = "test/confusion") -> Matrix | None:
    """The newest confusion matrix of a run, None where it has none that can be read."""
    opened = store.database()
    return _matrix(opened, opened.where, run.id, kind, run.dataset, _state(run))


def recipe(run_id: int) -> dict[str, Any]:
    """The recipe of a run, which never changes."""
    opened = store.database()
    return _recipe(opened, opened.where, run_id)


def _state(run: RunSummary) -> tuple[Any, ...]:
    """What changes when a run has written something."""
    return run.key, run.attempt, run.step, run.heartbeat, run.status.value


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _curve(_opened: Database, where: str, run_id: int, metric: str, state: Any) -> Timed:
    from cnnviz import tracking

    found = tracking.sample_metric(_opened, run_id, metric, POINTS)
    return Timed(found, tracking.elapsed(tracking.history(_opened, run_id), found.times))


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _matrix(_opened: Database, where: str, run_id: int, kind: str, dataset: str, state: Any) -> Matrix | None:
    from cnnviz import tracking

    record = tracking.latest_record(_opened, run_id, kind)
    if record is None:
        return None
    counts = np.asarray(record.body, np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        return None
    about = tracking.latest_record(_opened, run_id, "data")
    told = about.body.get("classes") if about is not None else None
    return Matrix(counts, class_names(told, dataset, len(counts)), record.step, record.epoch)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _recipe(_opened: Database, where: str, run_id: int) -> dict[str, Any]:
    from cnnviz import tracking

    return tracking.recipes(_opened, [run_id]).get(run_id, {})
