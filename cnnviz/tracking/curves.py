"""Metric curves, downsampled to about as many points as a screen has columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from cnnviz.tracking.database import Database
from cnnviz.tracking.metrics import MAX_ROWS, read_metrics, read_restarts, summaries
from cnnviz.tracking.records import Restart
from cnnviz.tracking.tables import MetricRow, SeriesRow

# Min-max downsampling, which keeps spikes.
#
# The steps are divided into equal buckets. Each bucket keeps the first row with its smallest value, the first
# row with its largest value, and one NaN if there is any; the whole curve keeps its first and last row.
# `sample_metric` does this in the database, `decimate` in memory; both select the same rows.

POINTS = 2_000
Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """Points of one metric by increasing step: four arrays `(N,)`. NaN if a value was not a number."""

    name: str
    steps: Steps
    epochs: Floats
    values: Floats
    times: Floats

    def __len__(self) -> int:
        return len(self.steps)


def curve_of(name: str, rows: list[Any]) -> Curve:
    """Build a curve from `(step, epoch, value, time)` rows; a value of None is NaN."""
    steps, epochs, values, times = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Curve(
        name,
        np.array(steps, np.int64),
        np.array(epochs, np.float64),
        np.array(values, np.float64),
        np.array(times, np.float64),
    )


def buckets_for(points: int) -> int:
    """Return the number of buckets that give at most `points` points, not counting NaNs."""
    return max(1, (points - 2) // 2)


def sample_metric(
    database: Database,
    run_id: int,
    name: str,
    points: int = POINTS,
    first: int | None = None,
    last: int | None = None,
) -> Curve:
    """Read one metric downsampled to at most `points` points, plus one per bucket with a NaN.

    Args:
        database: The run database.
        run_id: The run.
        name: The metric; one that was never logged gives an empty curve.
        points: At least 4.
        first: First step (of a zoomed axis); the first logged step by default.
        last: Last step, likewise.
    """
    with database.read() as session:
        series = session.scalar(
            select(SeriesRow.id).where(SeriesRow.run_id == run_id, SeriesRow.name == name)
        )
        edges = None if series is None else _edges(session, series, first, last)
        if series is None or edges is None:
            return curve_of(name, [])
        query = select(MetricRow.step, MetricRow.epoch, MetricRow.value, MetricRow.time).where(
            MetricRow.series_id == series, MetricRow.step.in_(_chosen(series, edges, buckets_for(points)))
        )
        return curve_of(name, list(session.execute(query.order_by(MetricRow.step)).all()))


def _edges(session: Session, series: int, first: int | None, last: int | None) -> tuple[int, int] | None:
    """Return the first and last step within the bounds, each by one index look-up; None without rows."""
    bounds = []
    for edge in (func.min, func.max):
        query = select(edge(MetricRow.step)).where(MetricRow.series_id == series)
        if first is not None:
            query = query.where(MetricRow.step >= first)
        if last is not None:
            query = query.where(MetricRow.step <= last)
        bounds.append(session.scalar(query))
    low, high = bounds
    return None if low is None or high is None else (low, high)


def _chosen(series: int, edges: tuple[int, int], buckets: int) -> Any:
    """Return a query of the steps to keep."""
    first, last = edges
    in_range = and_(MetricRow.series_id == series, MetricRow.step.between(first, last))
    bucket_number = ((MetricRow.step - first) * buckets // (last - first + 1)).label("number")
    bucket = (
        select(
            bucket_number,
            func.min(MetricRow.value).label("low"),
            func.max(MetricRow.value).label("high"),
            func.min(MetricRow.step).label("start"),
            func.max(MetricRow.step).label("stop"),
        )
        .where(in_range)
        .group_by(bucket_number)
        .subquery()
    )
    member = and_(
        MetricRow.series_id == series,
        MetricRow.step.between(bucket.c.start, bucket.c.stop),
        or_(MetricRow.value == bucket.c.low, MetricRow.value == bucket.c.high, MetricRow.value.is_(None)),
    )
    extremes = select(func.min(MetricRow.step)).join_from(bucket, MetricRow, member)
    ends = select(MetricRow.step).where(MetricRow.series_id == series, MetricRow.step.in_(edges))
    return extremes.group_by(bucket.c.number, MetricRow.value).union(ends)


def decimate(steps: Steps, values: Floats, points: int = POINTS) -> NDArray[np.intp]:
    """Return the indices of the points to keep, in increasing order; `steps` increase strictly."""
    if len(steps) == 0:
        return np.array([], np.intp)
    span = int(steps[-1] - steps[0]) + 1
    bucket = (steps - steps[0]) * buckets_for(points) // span
    indices = np.arange(len(steps))
    finite = indices[~np.isnan(values)]
    gaps = indices[np.isnan(values)]
    selected = [
        indices[[0, -1]],
        _first_of_each(bucket[finite], finite[np.lexsort((values[finite], bucket[finite]))], bucket),
        _first_of_each(bucket[finite], finite[np.lexsort((-values[finite], bucket[finite]))], bucket),
        gaps[np.unique(bucket[gaps], return_index=True)[1]],
    ]
    return np.unique(np.concatenate(selected))


def _first_of_each(present: Steps, ordered: NDArray[np.intp], number: Steps) -> NDArray[np.intp]:
    """Return the first index of each bucket in `ordered`, which is sorted by bucket."""
    return ordered[np.searchsorted(number[ordered], np.unique(present))]


_Row = tuple[int, float, float, float]


class Curves:
    """All metrics of a run, updated incrementally while it trains and across resumptions.

    The first `refresh` of a long run reads it downsampled from the database; later ones read only new rows. A
    curve longer than twice `points` is downsampled in memory, which bounds its size. It can be discarded and
    rebuilt at any time. Not thread-safe.

    Args:
        database: The run database.
        run_id: The run.
        points: Approximate length of a curve: it varies between this and twice as many points.
    """

    def __init__(self, database: Database, run_id: int, points: int = POINTS) -> None:
        self.run_id = run_id
        self.cursor = 0
        self.attempt = 0
        self._database = database
        self._points = points
        self._rows: dict[str, list[_Row]] = {}
        self._loaded = False

    def refresh(self) -> bool:
        """Read new rows and drop rows that a resumption made void; return whether anything changed.

        Raises:
            NoSuchRunError: There is no such run.
        """
        changed = not self._loaded and self._load()
        self._loaded = True
        while True:
            page = read_metrics(self._database, self.run_id, self.cursor)
            changed = self._drop_void(page.restarts) or changed or bool(page.rows)
            for row in page.rows:
                self._rows.setdefault(row.name, []).append((row.step, row.epoch, row.value, row.time))
            self.cursor = page.cursor
            self._shorten()
            if not page.more:
                return changed

    def names(self) -> list[str]:
        """Return the metrics that have points, in the order of their first point."""
        return [name for name, rows in self._rows.items() if rows]

    def __getitem__(self, name: str) -> Curve:
        """Return the curve of a metric; empty if it has no points."""
        return curve_of(name, self._rows.get(name, []))

    def __iter__(self) -> Iterator[Curve]:
        return (self[name] for name in self.names())

    def _load(self) -> bool:
        """Load a long run's past downsampled; return False for a short one, which is read like new rows."""
        while True:
            with self._database.read() as session:
                restarts = read_restarts(session, self.run_id)
                summaries_by_name = summaries(session, [self.run_id])[self.run_id]
                newest = session.scalar(select(func.max(MetricRow.id)).where(MetricRow.run_id == self.run_id))
            if sum(summary.rows for summary in summaries_by_name.values()) <= MAX_ROWS:
                return False
            # The steps of a metric increase with the ids, so its last step is equivalent to the cursor. One
            # transaction per metric: a single long one would delay the writer.
            curves = [
                sample_metric(self._database, self.run_id, name, self._points, last=summary.last_step)
                for name, summary in summaries_by_name.items()
            ]
            with self._database.read() as session:
                unchanged = read_restarts(session, self.run_id) == restarts
            if unchanged:
                break
        for curve in curves:
            columns = (
                curve.steps.tolist(),
                curve.epochs.tolist(),
                curve.values.tolist(),
                curve.times.tolist(),
            )
            self._rows[curve.name] = list(zip(*columns, strict=True))
        self.cursor = newest or 0
        self.attempt = max((restart.attempt for restart in restarts), default=0)
        return True

    def _drop_void(self, restarts: tuple[Restart, ...]) -> bool:
        """Drop rows that a later attempt made void: all held rows beyond the step from which it began."""
        later = [restart for restart in restarts if restart.attempt > self.attempt]
        if not later:
            return False
        last_valid = min(restart.from_step for restart in later)
        self.attempt = max(restart.attempt for restart in later)
        before = sum(map(len, self._rows.values()))
        for name, rows in self._rows.items():
            self._rows[name] = [row for row in rows if row[0] <= last_valid]
        return sum(map(len, self._rows.values())) < before

    def _shorten(self) -> None:
        for name, rows in self._rows.items():
            if len(rows) > 2 * self._points:
                curve = curve_of(name, rows)
                selected = decimate(curve.steps, np.asarray(curve.values), self._points)
                self._rows[name] = [rows[index] for index in selected]
