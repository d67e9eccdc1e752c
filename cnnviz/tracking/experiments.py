"""Experiments as rows: which there are, and which run stands for which arm and seed.

What an experiment is, and how it is judged, is in `cnnviz.experiments`; here its body is text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select

from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import NoSuchExperimentError
from cnnviz.tracking.limits import own, require_owner
from cnnviz.tracking.tables import ExperimentRow, ExperimentRunRow


class Slot(NamedTuple):
    """The place of one run in an experiment; no run where it was never queued, or is deleted for good."""

    arm: str
    seed: int
    run_id: int | None


class StoredExperiment(NamedTuple):
    """An experiment as it is kept; `created` is seconds since 1970."""

    id: int
    name: str
    body: str
    created: float


def create_experiment(database: Database, name: str, body: str, cells: Iterable[tuple[str, int]]) -> int:
    """Keep an experiment with its empty places for `(arm, seed)`, and return its number."""
    with database.write() as session:
        number = own(session, "make an experiment")
        row = ExperimentRow(owner_id=number, name=name, body=body, created=time.time())
        session.add(row)
        session.flush()
        session.add_all(ExperimentRunRow(experiment_id=row.id, arm=arm, seed=seed) for arm, seed in cells)
        return row.id


def extend_experiment(
    database: Database, experiment_id: int, body: str, cells: Iterable[tuple[str, int]]
) -> None:
    """Change the body of an experiment and add empty places; raises `NoSuchExperimentError`."""
    with database.write() as session:
        row = session.get(ExperimentRow, experiment_id, with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        require_owner(session, row.owner_id, f"Experiment {experiment_id}")
        row.body = body
        session.add_all(ExperimentRunRow(experiment_id=row.id, arm=arm, seed=seed) for arm, seed in cells)


def place_run(database: Database, experiment_id: int, arm: str, seed: int, run_id: int) -> None:
    """Let a run stand for an arm with a seed; raises `NoSuchExperimentError` where there is no such place."""
    with database.write() as session:
        row = session.get(ExperimentRunRow, (experiment_id, arm, seed), with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        experiment = session.get_one(ExperimentRow, experiment_id)
        require_owner(session, experiment.owner_id, f"Experiment {experiment_id}")
        row.run_id = run_id


def get_experiment(database: Database, experiment_id: int) -> StoredExperiment:
    """One experiment; raises `NoSuchExperimentError`."""
    with database.read() as session:
        row = session.get(ExperimentRow, experiment_id)
        if row is None:
            raise _unknown(experiment_id)
        return StoredExperiment(row.id, row.name, row.body, row.created)


def list_experiments(database: Database) -> list[StoredExperiment]:
    """Every experiment, newest first."""
    with database.read() as session:
        rows = session.scalars(select(ExperimentRow).order_by(ExperimentRow.id.desc())).all()
        return [StoredExperiment(row.id, row.name, row.body, row.created) for row in rows]


def slots(database: Database, experiment_id: int) -> list[Slot]:
    """Every place of an experiment, in no order; empty where there is no such experiment."""
    columns = (ExperimentRunRow.arm, ExperimentRunRow.seed, ExperimentRunRow.run_id)
    query = select(*columns).where(ExperimentRunRow.experiment_id == experiment_id)
    with database.read() as session:
        return [Slot(*row) for row in session.execute(query)]


def delete_experiment(database: Database, experiment_id: int) -> None:
    """Forget an experiment; its runs stay. Raises `NoSuchExperimentError`."""
    with database.write() as session:
        row = session.get(ExperimentRow, experiment_id, with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        require_owner(session, row.owner_id, f"Experiment {experiment_id}")
        session.delete(row)


def _unknown(experiment_id: int) -> NoSuchExperimentError:
    return NoSuchExperimentError(f"There is no experiment {experiment_id}.")
