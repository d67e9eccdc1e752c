"""Lifecycle of a claimed run: a supervisor calls `attach`, a worker `begin` and `end`.

The worker of a run holds a `Lease`; writes with a lease are refused once the run was claimed again or has
ended. Claims are in `queue`, the requests of pages in `commands`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from cnnviz.device_class import CPU, class_of
from cnnviz.tracking.commands import notify, require_lease, set_status, take_command, withdraw
from cnnviz.tracking.database import (
    Database,
    DatabaseDamagedError,
    DatabaseUnavailableError,
    WrongStateError,
    address,
)
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.records import ACTIVE, Checkpoint, Command, Lease, RunFacts, Status, process_handle
from cnnviz.tracking.run_files import add_checkpoint
from cnnviz.tracking.tables import (
    AttemptRow,
    CheckpointRow,
    MetricRow,
    RecordRow,
    RunRow,
    SeriesRow,
    StatusRow,
)

# Rollback of rows logged after a step, part of the transaction in which a run resumes.


def truncate(session: Session, run_id: int, step: int) -> None:
    """Delete the metric rows, records and checkpoints of a run after `step`, and update the summaries."""
    affected = select(SeriesRow).where(SeriesRow.run_id == run_id, SeriesRow.last_step > step)
    for series in session.scalars(affected).all():
        session.execute(delete(MetricRow).where(MetricRow.series_id == series.id, MetricRow.step > step))
        _summarise(session, series)
    for table in (RecordRow, CheckpointRow):
        session.execute(delete(table).where(table.run_id == run_id, table.step > step))


def _summarise(session: Session, series: SeriesRow) -> None:
    of_series = MetricRow.series_id == series.id
    count, last_step, low, high = session.execute(
        select(
            func.count(), func.max(MetricRow.step), func.min(MetricRow.value), func.max(MetricRow.value)
        ).where(of_series)
    ).one()
    if not count:
        session.delete(series)
        return

    def first(value: float | None) -> int | None:
        if value is None:
            return None
        return session.scalar(select(func.min(MetricRow.step)).where(of_series, MetricRow.value == value))

    series.count, series.last_step = count, last_step
    series.last = session.scalar(select(MetricRow.value).where(of_series, MetricRow.step == last_step))
    series.low, series.low_step = low, first(low)
    series.high, series.high_step = high, first(high)


FROM_SCRATCH = -1
LAST_LINES = 20_000


def attach(
    database: Database,
    lease: Lease,
    pid: int | None = None,
    process_started: float | None = None,
    *,
    worker: Mapping[str, Any] | None = None,
) -> None:
    """Store the handle of the run's worker: a process, or another kind of worker.

    Args:
        database: The run database.
        lease: From `claim`.
        pid: PID of the worker process.
        process_started: Its start time.
        worker: The handle of another kind of worker, in place of both.

    Raises:
        StaleAttemptError: The lease is no longer valid.
    """
    if worker is None:
        if pid is None:
            raise ValueError("A worker is a process of a number, or has a handle.")
        worker = process_handle(pid, process_started)
    with database.write() as session:
        run = require_lease(session, lease)
        run.worker, run.heartbeat = dict(worker), time.time()


def begin(
    database: Database,
    lease: Lease,
    from_step: int = FROM_SCRATCH,
    epoch: float = 0.0,
    facts: RunFacts | None = None,
) -> None:
    """Mark a run as running, after its worker has loaded the checkpoint from which it trains.

    The same transaction deletes all rows logged after the checkpoint's step; readers detect it by the
    `Restart`. The step must be that of the loaded file: after a crash at any point, no other source is
    reliable.

    Args:
        database: The run database.
        lease: From `claim`.
        from_step: Step of the checkpoint, `FROM_SCRATCH` without one.
        epoch: Its epoch.
        facts: Properties of the run that the worker has determined.

    Raises:
        StaleAttemptError: The lease is no longer valid.
    """
    now = time.time()
    values = {name: value for name, value in asdict(facts or RunFacts()).items() if value is not None}
    with database.write() as session:
        run = require_lease(session, lease)
        set_status(session, run, Status.RUNNING)
        truncate(session, run.id, from_step)
        session.add(AttemptRow(run_id=run.id, number=run.attempt, from_step=from_step, began=now))
        run.step, run.epoch, run.began, run.heartbeat = max(from_step, 0), epoch, now, now
        for name, value in values.items():
            setattr(run, name, value)


def end(
    database: Database,
    lease: Lease,
    status: Status,
    error: str | None = None,
    last_lines: str | None = None,
    note: str | None = None,
) -> None:
    """End an attempt: the run is paused, stopped, finished, failed or interrupted.

    Called by the worker, or by its supervisor for a worker that has died. A run that was asked to stop while
    its worker paused is stopped.

    Args:
        database: The run database.
        lease: From `claim`, or `Run.lease`.
        status: The new status.
        error: One sentence on the error.
        last_lines: Tail of the worker's stderr; the last 20,000 characters are stored.
        note: Reason of an end without an error, for the event log.

    Raises:
        StaleAttemptError: The lease is no longer valid.
        WrongStateError: `status` does not end a run.
    """
    if status in ACTIVE or status is Status.QUEUED:
        raise WrongStateError(f"A run does not end as {status}.")
    with database.write() as session:
        _end(session, require_lease(session, lease), status, error, last_lines, note)


def _end(
    session: Session,
    run: RunRow,
    status: Status,
    error: str | None = None,
    last_lines: str | None = None,
    note: str | None = None,
) -> None:
    now = time.time()
    # The time of death of a killed worker is unknown; the last heartbeat is the best estimate.
    last_alive = run.heartbeat if status is Status.INTERRUPTED and run.heartbeat else now
    if run.began is not None:
        run.earlier_seconds += max(0.0, last_alive - run.began)
    run.ended, run.error = last_alive, error
    run.last_lines = last_lines[-LAST_LINES:] if last_lines else None
    run.worker = None
    withdraw(session, run.id)
    stop_requested = run.status == Status.STOPPING and status is Status.PAUSED
    set_status(session, run, Status.STOPPED if stop_requested else status, error or note)
    if run.device.startswith(CPU):
        run.device = CPU  # Beside another run, or in several slots of a cluster: only while it is active.


MAX_TRIES = 3
"""Maximum number of automatic restarts of a run whose machine was lost."""


def requeue_lost(database: Database, lease: Lease, reason: str, *, here: bool = False) -> Status:
    """End an attempt whose machine, worker or database was lost, and requeue the run if it can be resumed.

    It can if all checkpoints of the run are in the store (or there is none yet) and it was requeued fewer
    than `MAX_TRIES` times. It keeps its original position in the queue. Writes of the old worker are refused
    from then on. A pending command is carried out: the run is then paused or stopped. A run without a
    checkpoint is no longer bound to its machine.

    Args:
        database: The run database.
        lease: From `Run.lease`.
        reason: One sentence on the cause.
        here: The run may wait for the same machine: only its worker was lost, or there is no store.

    Returns:
        The new status.

    Raises:
        StaleAttemptError: The lease is no longer valid.
    """
    with database.write() as session:
        run = require_lease(session, lease)
        command = take_command(session, run.id)
        if run.status == Status.STOPPING or command is Command.STOP:
            _end(session, run, Status.STOPPED, reason)
        elif command is Command.PAUSE and run.status == Status.RUNNING:
            _end(session, run, Status.PAUSED, reason)
        else:
            _end(session, run, Status.INTERRUPTED, reason)
            if run.tries < MAX_TRIES and (here or _is_movable(session, run.id)):
                run.tries += 1
                run.error = None
                if not _has_checkpoint(session, run.id):
                    run.host = None
                set_status(session, run, Status.QUEUED, reason)
        status = Status(run.status)
    notify()
    return status


def _is_movable(session: Session, run_id: int) -> bool:
    """Return whether all checkpoints of the run are in the store."""
    unstored = select(func.count()).select_from(CheckpointRow)
    return not session.scalar(unstored.where(CheckpointRow.run_id == run_id, CheckpointRow.stored.is_(None)))


def _has_checkpoint(session: Session, run_id: int) -> bool:
    known = select(func.count()).select_from(CheckpointRow)
    return bool(session.scalar(known.where(CheckpointRow.run_id == run_id)))


# Recovery of a run database: move a damaged file aside, and insert runs that were read from their folders.

BESIDE = ("", "-journal", "-wal", "-shm")
"""Suffixes of SQLite's files."""


@dataclass(frozen=True)
class RecoveredRun:
    """A run as reconstructed from its folder."""

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
    """Further columns: parameters, versions, hardware, fingerprint, totals, notes, tags."""
    values: tuple[Value, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()


def set_aside() -> Path | None:
    """Rename a damaged SQLite database and return its new path; None if it is intact or missing.

    Raises:
        DatabaseUnavailableError: The database is not SQLite (restore a server from its backup), or cannot be
            opened for a reason other than damage.
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
    """Return whether SQLite's quick_check finds no damage."""
    try:
        with database, database.read() as session:
            return str(session.execute(text("PRAGMA quick_check(1)")).scalar()) == "ok"
    except DatabaseDamagedError:
        return False


def known_keys(database: Database) -> dict[int, str]:
    """Return `{id: key}` of all runs in the database, including deleted ones."""
    with database.read() as session:
        return {row.id: row.key for row in session.execute(select(RunRow.id, RunRow.key))}


def insert_run(database: Database, run: RecoveredRun) -> None:
    """Insert a recovered run under its old id and key, with its metric values and checkpoints."""
    now, lease = time.time(), Lease(run.id, run.attempt)
    row = RunRow(
        id=run.id, key=run.key, name=run.name, status=Status.RUNNING.value, recipe=dict(run.recipe),
        model=run.model, dataset=run.dataset, seed=run.seed, device=run.device,
        device_class=class_of(str(run.recipe.get("device") or run.device)), attempt=run.attempt,
        step=run.step, epoch=run.epoch, created=run.created, queued=run.created, heartbeat=now,
        earlier_seconds=run.seconds, **run.facts,
    )  # fmt: skip
    with database.write() as session:
        session.add(row)
        session.flush()
        session.add(StatusRow(run_id=run.id, attempt=run.attempt, new=Status.RUNNING.value, time=now))
        session.add(AttemptRow(run_id=run.id, number=run.attempt, from_step=FROM_SCRATCH, began=now))
    append(database, lease, sorted(run.values, key=lambda value: value.step), position=(run.step, run.epoch))
    for checkpoint in run.checkpoints:
        add_checkpoint(
            database,
            lease,
            checkpoint.kind,
            checkpoint.path,
            checkpoint.step,
            checkpoint.epoch,
            checkpoint.bytes,
            checkpoint.digest,
            checkpoint.stored,
        )
    end(database, lease, run.status)
    with database.write() as session:
        row = session.get_one(RunRow, run.id)
        row.host, row.ended = socket.gethostname(), None
