"""A run's curves as a reader keeps them: a refresh costs what is new."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import func, select

from cnnviz.tracking.database import Database
from cnnviz.tracking.downsampling import POINTS, Curve, curve_of, decimate, sample_metric
from cnnviz.tracking.metrics import MOST_ROWS, read_metrics, read_restarts, summaries
from cnnviz.tracking.records import Restart
from cnnviz.tracking.tables import MetricRow

_Row = tuple[int, float, float, float]


class Curves:
    """All metrics of a run, followed while it trains and over its resumptions.

    The first `refresh` takes a long run down-sampled from the database; later ones read what is new. A curve
    that grows beyond twice `points` is down-sampled in memory, so that the size stays bounded. It can be
    thrown away and made again at any time. Not for two threads at once.

    Args:
        database: The run database.
        run_id: The run.
        points: About how many points a curve has at most: between this and twice as many.
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
        """Read what is new and drop what a resumption made void; tell whether anything changed.

        Raises `NoSuchRunError`.
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
        """The metrics that have points, in the order of their first."""
        return [name for name, rows in self._rows.items() if rows]

    def __getitem__(self, name: str) -> Curve:
        """The points of a metric; an empty curve where there are none."""
        return curve_of(name, self._rows.get(name, []))

    def __iter__(self) -> Iterator[Curve]:
        return (self[name] for name in self.names())

    def _load(self) -> bool:
        """Take a long run's past down-sampled; a short one's is read row by row like what is new."""
        while True:
            with self._database.read() as session:
                restarts = read_restarts(session, self.run_id)
                known = summaries(session, [self.run_id]).get(self.run_id, {})
                newest = session.scalar(select(func.max(MetricRow.id)).where(MetricRow.run_id == self.run_id))
            if sum(summary.rows for summary in known.values()) <= MOST_ROWS:
                return False
            # The steps of a metric rise with the ids, so that its last step stands for the cursor. One
            # transaction for each: a long one would hold up the writer.
            curves = [
                sample_metric(self._database, self.run_id, name, self._points, last=summary.last_step)
                for name, summary in known.items()
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
        """What is held belongs to attempts up to `self.attempt`: a later one voids all after its step."""
        later = [restart for restart in restarts if restart.attempt > self.attempt]
        if not later:
            return False
        keep = min(restart.from_step for restart in later)
        self.attempt = max(restart.attempt for restart in later)
        before = sum(map(len, self._rows.values()))
        for name, rows in self._rows.items():
            self._rows[name] = [row for row in rows if row[0] <= keep]
        return sum(map(len, self._rows.values())) < before

    def _shorten(self) -> None:
        for name, rows in self._rows.items():
            if len(rows) > 2 * self._points:
                curve = curve_of(name, rows)
                kept = decimate(curve.steps, np.asarray(curve.values), self._points)
                self._rows[name] = [rows[index] for index in kept]
