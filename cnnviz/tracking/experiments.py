"""Experiments in the database: their JSON bodies, and the run of each condition and seed.

The format and evaluation of an experiment are in `cnnviz.experiments`; here its body is opaque text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select

from cnnviz.tracking.database import Database, NoSuchExperimentError
from cnnviz.tracking.limits import get_or_create_owner, require_owner
from cnnviz.tracking.tables import ExperimentRow, ExperimentRunRow


class Slot(NamedTuple):
    """Condition and seed of an experiment; `run_id` is None if its run was never queued, or was purged."""

    arm: str
    seed: int
    run_id: int | None


class StoredExperiment(NamedTuple):
    """An experiment as stored; `created` is a Unix timestamp."""

    id: int
    name: str
    body: str
    created: float
    owner_id: int | None


def create_experiment(database: Database, name: str, body: str, cells: Iterable[tuple[str, int]]) -> int:
    """Insert an experiment with empty slots for `(arm, seed)`; return its id."""
    with database.write() as session:
        number = get_or_create_owner(session, "make an experiment")
        row = ExperimentRow(owner_id=number, name=name, body=body, created=time.time())
        session.add(row)
        session.flush()
        session.add_all(ExperimentRunRow(experiment_id=row.id, arm=arm, seed=seed) for arm, seed in cells)
        return row.id


def extend_experiment(
    database: Database, experiment_id: int, body: str, cells: Iterable[tuple[str, int]]
) -> None:
    """Replace the body of an experiment and add empty slots; raise `NoSuchExperimentError`."""
    with database.write() as session:
        row = session.get(ExperimentRow, experiment_id, with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        require_owner(session, row.owner_id, f"Experiment {experiment_id}")
        row.body = body
        session.add_all(ExperimentRunRow(experiment_id=row.id, arm=arm, seed=seed) for arm, seed in cells)


def assign_run(database: Database, experiment_id: int, arm: str, seed: int, run_id: int) -> None:
    """Assign a run to the slot of a condition and seed; raise `NoSuchExperimentError` if there is none."""
    with database.write() as session:
        row = session.get(ExperimentRunRow, (experiment_id, arm, seed), with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        experiment = session.get_one(ExperimentRow, experiment_id)
        require_owner(session, experiment.owner_id, f"Experiment {experiment_id}")
        row.run_id = run_id


def get_experiment(database: Database, experiment_id: int) -> StoredExperiment:
    """Return an experiment; raise `NoSuchExperimentError`."""
    with database.read() as session:
        row = session.get(ExperimentRow, experiment_id)
        if row is None:
            raise _unknown(experiment_id)
        return StoredExperiment(row.id, row.name, row.body, row.created, row.owner_id)


def list_experiments(database: Database) -> list[StoredExperiment]:
    """Return all experiments, newest first."""
    with database.read() as session:
        rows = session.scalars(select(ExperimentRow).order_by(ExperimentRow.id.desc())).all()
        return [StoredExperiment(row.id, row.name, row.body, row.created, row.owner_id) for row in rows]


def slots(database: Database, experiment_id: int) -> list[Slot]:
    """Return all slots of an experiment, in no particular order; empty if it does not exist."""
    columns = (ExperimentRunRow.arm, ExperimentRunRow.seed, ExperimentRunRow.run_id)
    query = select(*columns).where(ExperimentRunRow.experiment_id == experiment_id)
    with database.read() as session:
        return [Slot(*row) for row in session.execute(query)]


def delete_experiment(database: Database, experiment_id: int) -> None:
    """Delete an experiment, but not its runs; raise `NoSuchExperimentError`."""
    with database.write() as session:
        row = session.get(ExperimentRow, experiment_id, with_for_update=True)
        if row is None:
            raise _unknown(experiment_id)
        require_owner(session, row.owner_id, f"Experiment {experiment_id}")
        session.delete(row)


def _unknown(experiment_id: int) -> NoSuchExperimentError:
    return NoSuchExperimentError(f"There is no experiment {experiment_id}.")
