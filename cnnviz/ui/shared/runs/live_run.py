"""Live run: curves and records of a run as the page draws them, read incrementally from the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import streamlit as st

from cnnviz import tracking
from cnnviz.tracking import (
    ACTIVE,
    Curve,
    Curves,
    Database,
    Record,
    Run,
    RunSummary,
    Status,
    StatusChange,
    elapsed,
)
from cnnviz.tracking.curves import Floats
from cnnviz.ui.components.plot import figure_json

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

XAxis = Literal["step", "epoch", "time"]
ENDED = frozenset((Status.FINISHED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED))
X_TITLES: dict[XAxis, str] = {"step": "step", "epoch": "epoch", "time": "minutes in training"}


class LayerStatsAt(NamedTuple):
    """Layer statistics at one step, as `asdict(LayerStats)`."""

    step: int
    epoch: float
    time: float
    layers: list[dict[str, Any]]


class ConfusionAt(NamedTuple):
    """The newest confusion matrix, and the split that it was computed on."""

    part: str
    epoch: float
    matrix: list[list[int]]


@dataclass(frozen=True)
class RunData:
    """Curves and records of a run."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    layer_stats: Sequence[LayerStatsAt] = ()
    confused: ConfusionAt | None = None
    data: Mapping[str, Any] | None = None
    """Record of the data: classes, sizes of the splits, notes."""
    images: Sequence[Mapping[str, Any]] = ()
    predictions: Sequence[Mapping[str, Any]] = ()
    predicted_at: float = 0.0
    """Epoch of the predictions."""
    history: Sequence[StatusChange] = ()
    _figures: dict[str, tuple[object, str]] = field(default_factory=dict, compare=False, repr=False)

    def figure(self, name: str, choices: object, build: Callable[[], Figure]) -> str:
        """Return a figure of this data as JSON, built anew only for other choices than last time.

        Args:
            name: Of the figure, one of a few: the last of each is kept.
            choices: All that it depends on beside this data.
            build: Builds it.
        """
        if name not in self._figures or self._figures[name][0] != choices:
            self._figures[name] = choices, figure_json(build())
        return self._figures[name][1]

    @property
    def ended(self) -> bool:
        """Return whether the run has ended: what was not recorded by then does not come any more."""
        return bool(self.history) and self.history[-1].new in ENDED

    @property
    def classes(self) -> list[str]:
        """Names of the classes; numbers if none were recorded."""
        if self.data and "classes" in self.data:
            return [str(name) for name in self.data["classes"]]
        return [str(i) for i in range(len(self.confused.matrix))] if self.confused else []

    def curve(self, part: str, measure: str) -> Curve | None:
        """Return a curve of a split; of training its epoch means where steps were not recorded."""
        return self.curves.get(f"{part}/{measure}") or self.curves.get(f"{part}/epoch_{measure}")

    def last(self, name: str) -> float | None:
        """Return the newest finite value of a metric."""
        curve = self.curves.get(name)
        values = curve.values[np.isfinite(curve.values)] if curve is not None else np.array([])
        return float(values[-1]) if len(values) else None

    def at(self, curve: Curve, x: XAxis) -> Floats:
        """Return the x coordinates of a curve's points."""
        if x == "step":
            return curve.steps.astype(np.float64)
        return curve.epochs if x == "epoch" else elapsed(self.history, curve.times) / 60

    def layer_stats_over(self, x: XAxis) -> list[tuple[float, list[dict[str, Any]]]]:
        """Return the layer statistics over time, as `(x, layers)`."""
        if x != "time":
            return [
                (float(statistics.step) if x == "step" else statistics.epoch, statistics.layers)
                for statistics in self.layer_stats
            ]
        times = (
            elapsed(self.history, np.array([statistics.time for statistics in self.layer_stats], np.float64))
            / 60
        )
        return [
            (float(time), statistics.layers) for time, statistics in zip(times, self.layer_stats, strict=True)
        ]


def seconds_left(run_log: RunData, step: int, total: int | None, recent: int = 40) -> float | None:
    """Estimate the remaining seconds from the pace of the newest points, evaluation and checkpoints included.

    Pauses do not count. None if there is no pace yet.
    """
    curve = run_log.curves.get("train/loss")
    if total is None or curve is None or len(curve) < 2:
        return None
    spent = elapsed(run_log.history, curve.times[-recent:])
    steps = curve.steps[-recent:]
    if spent[-1] <= spent[0]:
        return None
    return max(0.0, (total - step) * float(spent[-1] - spent[0]) / float(steps[-1] - steps[0]))


# Incremental reading: known points stay in the session, so a refresh reads only new rows.

POINTS = 800
"""Approximate number of points per curve: as many as the figure is wide."""
MAX_LAYER_STATS = 240
KEY = "train-followed"


class LiveRun:
    """A run as this session has read it; a cache of the database that can be discarded."""

    def __init__(self, database: Database, run_id: int) -> None:
        self.run_id, self.where = run_id, database.where
        self._database = database
        self._curves = Curves(database, run_id, POINTS)
        self._layer_stats: list[LayerStatsAt] = []
        self._cursor = 0
        self._attempt = 0
        self._data: RunData | None = None
        self._state: tuple[Any, ...] = ()

    def refresh(self) -> tuple[Run, RunData]:
        """Return the run and its data as they are now.

        Raises:
            TrackingError: The run or the database cannot be read.
        """
        run = tracking.get_run(self._database, self.run_id)
        state = (run.status, run.attempt, run.step)
        changed = self._curves.refresh()
        if self._data is None or changed or state != self._state:
            self._state, self._data = state, self._read_all()
        return run, self._data

    def _read_all(self) -> RunData:
        database, known = self._database, self._data
        self._read_layer_stats()
        predictions = tracking.latest_record(database, self.run_id, "fixed_predictions")
        return RunData(
            curves={curve.name: curve for curve in self._curves},
            layer_stats=tuple(self._layer_stats),
            confused=self._confused(),
            data=(known and known.data) or _body(tracking.latest_record(database, self.run_id, "data")),
            images=(known and known.images)
            or _body(tracking.latest_record(database, self.run_id, "fixed_images"))
            or (),
            predictions=_body(predictions) or (),
            predicted_at=predictions.epoch if predictions else 0.0,
            history=tuple(tracking.history(database, self.run_id)),
        )

    def _confused(self) -> ConfusionAt | None:
        for part in ("test", "validation"):
            record = tracking.latest_record(self._database, self.run_id, f"{part}/confusion")
            if record is not None:
                return ConfusionAt(part, record.epoch, record.body)
        return None

    def _read_layer_stats(self) -> None:
        """Read new layer statistics; after a resumption all of them, since some were rolled back."""
        if self._curves.attempt != self._attempt:
            self._layer_stats, self._cursor, self._attempt = [], 0, self._curves.attempt
        new = tracking.read_records(self._database, self.run_id, "layers", self._cursor)
        if not new:
            return
        self._cursor = new[-1].id
        self._layer_stats += [
            LayerStatsAt(record.step, record.epoch, record.time, record.body) for record in new
        ]
        if len(self._layer_stats) > 2 * MAX_LAYER_STATS:
            stride = len(self._layer_stats) // MAX_LAYER_STATS
            self._layer_stats = [*self._layer_stats[:-1:stride], self._layer_stats[-1]]


def is_in_progress(run: RunSummary) -> bool:
    """Return whether the run will progress without action by a user."""
    return run.deleted_at is None and (run.status in ACTIVE or run.status is Status.QUEUED)


def live_run(database: Database, run_id: int) -> LiveRun:
    """Return this session's cached view of the run; only one run is cached at a time."""
    known = st.session_state.get(KEY)
    if not isinstance(known, LiveRun) or (known.run_id, known.where) != (run_id, database.where):
        known = st.session_state[KEY] = LiveRun(database, run_id)
    return known


def _body(record: Record | None) -> Any:
    return None if record is None else record.body
