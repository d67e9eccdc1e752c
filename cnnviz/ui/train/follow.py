"""Following a run: what is known stays in the session, and a look at the database costs what is new."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Curves, Database, Record, Run, RunSummary, Status
from cnnviz.ui.train.story import Confused, Looked, Story

POINTS = 800
"""About how many points a curve has here: as many as the figure is wide."""
MOST_LOOKS = 240
KEY = "train-followed"


class Followed:
    """One run as this session has seen it. It can be thrown away: the truth is in the database."""

    def __init__(self, database: Database, run_id: int) -> None:
        self.run_id, self.where = run_id, database.where
        self._database = database
        self._curves = Curves(database, run_id, POINTS)
        self._looks: list[Looked] = []
        self._cursor = 0
        self._attempt = 0
        self._story: Story | None = None
        self._state: tuple[Any, ...] = ()

    def look(self) -> tuple[Run, Story]:
        """The run and its story as they are now; raises `TrackingError`."""
        run = tracking.get_run(self._database, self.run_id)
        state = (run.status, run.attempt, run.step)
        changed = self._curves.refresh()
        if self._story is None or changed or state != self._state:
            self._state, self._story = state, self._told()
        return run, self._story

    def _told(self) -> Story:
        database, known = self._database, self._story
        self._read_looks()
        predictions = tracking.latest_record(database, self.run_id, "fixed_predictions")
        return Story(
            curves={curve.name: curve for curve in self._curves},
            looks=tuple(self._looks),
            confused=self._confused(),
            data=(known and known.data) or _body(tracking.latest_record(database, self.run_id, "data")),
            images=(known and known.images)
            or _body(tracking.latest_record(database, self.run_id, "fixed_images"))
            or (),
            predictions=_body(predictions) or (),
            predicted_at=predictions.epoch if predictions else 0.0,
            history=tuple(tracking.history(database, self.run_id)),
        )

    def _confused(self) -> Confused | None:
        for part in ("test", "validation"):
            record = tracking.latest_record(self._database, self.run_id, f"{part}/confusion")
            if record is not None:
                return Confused(part, record.epoch, record.body)
        return None

    def _read_looks(self) -> None:
        """Read the new looks at the layers; after a resumption all of them, since some were made void."""
        if self._curves.attempt != self._attempt:
            self._looks, self._cursor, self._attempt = [], 0, self._curves.attempt
        new = tracking.read_records(self._database, self.run_id, "layers", self._cursor)
        if not new:
            return
        self._cursor = new[-1].id
        self._looks += [Looked(record.step, record.epoch, record.time, record.body) for record in new]
        if len(self._looks) > 2 * MOST_LOOKS:
            stride = len(self._looks) // MOST_LOOKS
            self._looks = [*self._looks[:-1:stride], self._looks[-1]]


def moving(run: RunSummary) -> bool:
    """Whether anything is to be expected without anybody doing something."""
    return run.deleted_at is None and (run.status in ACTIVE or run.status is Status.QUEUED)


def followed(database: Database, run_id: int) -> Followed:
    """What this session knows of the run; of one at a time."""
    known = st.session_state.get(KEY)
    if not isinstance(known, Followed) or (known.run_id, known.where) != (run_id, database.where):
        known = st.session_state[KEY] = Followed(database, run_id)
    return known


def _body(record: Record | None) -> Any:
    return None if record is None else record.body
