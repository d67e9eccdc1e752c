"""Begin a run database anew: set a damaged file aside, and insert runs that were read from their folders."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from cnnviz.tracking.database import Database, address
from cnnviz.tracking.errors import DatabaseDamagedError, DatabaseUnavailableError
from cnnviz.tracking.files import add_checkpoint
from cnnviz.tracking.lifecycle import FROM_SCRATCH, end
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.records import Checkpoint, Lease
from cnnviz.tracking.states import Status
from cnnviz.tracking.tables import AttemptRow, RunRow, StatusRow

BESIDE = ("", "-journal", "-wal", "-shm")
"""What the names of SQLite's files end with."""


@dataclass(frozen=True)
class RecoveredRun:
    """A run as its folder tells of it."""

    id: int
    key: str
    name: str
    recipe: Mapping[str, Any]
    model: str
    dataset: str
    seed: int
    device: str
    status: Status
    attempt: int
    step: int
    epoch: float
    created: float
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the run: parameters, versions, hardware, fingerprint, totals, notes, tags."""
    values: tuple[Value, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()


def set_aside() -> Path | None:
    """Rename a SQLite database that is damaged, and return its new name; None where it is whole or absent.

    Raises `DatabaseUnavailableError` for another kind of database, which its own server looks after, and
    where the file cannot be opened for another reason than damage.
    """
    url = address()
    if url.get_backend_name() != "sqlite":
        raise DatabaseUnavailableError(
            "Only a SQLite file can be begun anew from the runs' folders; restore a server from its backup."
        )
    path = Path(str(url.database))
    if not path.exists() or _is_whole(Database(url)):
        return None
    new = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for ending in BESIDE:
        file = path.with_name(path.name + ending)
        if file.exists():
            file.replace(new.with_name(new.name + ending))
    return new


def _is_whole(database: Database) -> bool:
    """Whether every page can be read, as SQLite's own check finds."""
    try:
        with database, database.read() as session:
            return str(session.execute(text("PRAGMA quick_check(1)")).scalar()) == "ok"
    except DatabaseDamagedError:
        return False


def known_keys(database: Database) -> dict[int, str]:
    """The key of every run that the database has, deleted ones too, by number."""
    with database.read() as session:
        return {row.id: row.key for row in session.execute(select(RunRow.id, RunRow.key))}


def insert_run(database: Database, run: RecoveredRun) -> None:
    """Insert a run under its old number and key, with the metric values and checkpoints that are known."""
    now, lease = time.time(), Lease(run.id, run.attempt)
    row = RunRow(
        id=run.id, key=run.key, name=run.name, status=Status.RUNNING.value, recipe=dict(run.recipe),
        model=run.model, dataset=run.dataset, seed=run.seed, device=run.device, attempt=run.attempt,
        step=run.step, epoch=run.epoch, created=run.created, queued=run.created, heartbeat=now,
        earlier_seconds=run.seconds, **run.facts,
    )  # fmt: skip
    with database.write() as session:
        session.add(row)
        session.flush()
        session.add(StatusRow(run_id=run.id, attempt=run.attempt, new=Status.RUNNING.value, time=now))
        session.add(AttemptRow(run_id=run.id, number=run.attempt, from_step=FROM_SCRATCH, began=now))
    append(database, lease, sorted(run.values, key=lambda value: value.step), position=(run.step, run.epoch))
    for each in run.checkpoints:
        add_checkpoint(database, lease, each.kind, each.path, each.step, each.epoch, each.bytes)
    end(database, lease, run.status)
    with database.write() as session:
        row = session.get_one(RunRow, run.id)
        row.host, row.ended = socket.gethostname(), None
