"""How a run is worked on: a supervisor calls `claim` and `attach`, a worker `begin` and `end`.

Whoever works on a run holds a `Lease`: what is done with one is refused once the run was claimed again or has
ended. What a page does is in `commands`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, text
from sqlalchemy.orm import Session

from cnnviz.device_class import CPU, class_of, classes_of, split
from cnnviz.tracking.commands import ring, take_command, withdraw
from cnnviz.tracking.database import Database, address
from cnnviz.tracking.errors import DatabaseDamagedError, DatabaseUnavailableError, WrongStateError
from cnnviz.tracking.fair_queue import next_run
from cnnviz.tracking.limits import is_frozen
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.records import Checkpoint, Lease, RunFacts, process_handle
from cnnviz.tracking.states import ACTIVE, Command, Kind, Status
from cnnviz.tracking.store import add_checkpoint
from cnnviz.tracking.tables import (
    AttemptRow,
    CheckpointRow,
    MetricRow,
    RecordRow,
    RunRow,
    SeriesRow,
    StatusRow,
)
from cnnviz.tracking.transitions import become, held, locked

# Void what was logged after a step: part of the transaction in which a run begins again.


def truncate(session: Session, run_id: int, step: int) -> None:
    """Delete the metric rows, records and checkpoints of a run after `step`, and mend the summaries."""
    late = select(SeriesRow).where(SeriesRow.run_id == run_id, SeriesRow.last_step > step)
    for series in session.scalars(late).all():
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
TRAINED = RunRow.kind == Kind.TRAINED.value
LAST_LINES = 20_000


def claim(
    database: Database,
    device: str,
    host: str | None = None,
    only: int | None = None,
    beside: bool = False,
    *,
    classes: Collection[str] | None = None,
    accepts: Callable[[Candidate], bool] | None = None,
    anywhere: bool = False,
) -> Lease | None:
    """Take the run whose turn it is on `device`; None where there is none, or the device is taken.

    In a frozen queue it is nobody's turn. Owners take turns (`fair_queue`); with one of them the run comes
    that has waited longest.

    However many processes ask at once, one of them gets the run, and a device of a machine gets one run. The
    attempt rises with the claim, so that a worker of an earlier one is refused from then on.

    Args:
        database: The run database.
        device: As torch names it: `cpu`, `cuda:0`; several are joined by commas.
        host: This machine. A run that has files on another one waits for that one.
        only: Take this run and no other, though others may have waited longer.
        beside: Train on the CPU beside the run that has it: the run's device is `cpu:1`, `cpu:2`, … until it
            ends.
        classes: What the runs may have asked for; what the device serves by itself by default.
        accepts: Whether this machine can have what the run needs; the next one is tried where it cannot.
        anywhere: This machine reads checkpoints from the store: it may take runs of others that lie there.

    Raises `WrongStateError` where it should be beside a run on a device other than the CPU.
    """
    if beside and device != CPU:
        raise WrongStateError(f"Only on the CPU does a run train beside another, not on {device}.")
    here = host or socket.gethostname()
    with database.write() as session:
        database.serialise(session)
        held_here = select(RunRow.device).where(
            RunRow.host == here, RunRow.status.in_(sorted(ACTIVE)), TRAINED
        )
        taken = {name for held in session.scalars(held_here) for name in split(held)}
        if taken.intersection(split(device)) and not beside:
            return None
        waiting = _waiting(here, anywhere).where(RunRow.device_class.in_(classes or classes_of(device)))
        if only is not None:
            waiting = waiting.where(RunRow.id == only)
        elif is_frozen(session):
            return None

        def acceptable(row: RunRow) -> bool:
            needs, at_home = row.needs or {}, row.host == here
            found = Candidate(row.id, row.key, row.dataset, row.recipe, needs, at_home)
            return accepts is None or accepts(found)

        run = next_run(session, waiting, None if accepts is None else acceptable)
        if run is None:
            return None
        run.device = device
        if device in taken:  # A name of its own each, since a device has one run.
            run.device = next(name for i in count(1) if (name := f"{CPU}:{i}") not in taken)
        run.attempt += 1
        run.host, run.began, run.ended = here, None, None
        run.error = run.last_lines = run.worker = None
        run.heartbeat = time.time()
        become(session, run, Status.STARTING)
        return Lease(run.id, run.attempt)


@dataclass(frozen=True)
class Candidate:
    """A run that waits, as the machine sees it that thinks of taking it."""

    id: int
    key: str
    dataset: str
    recipe: Mapping[str, Any]
    needs: Mapping[str, Any]
    here: bool
    """Whether its files lie on this machine."""


def _waiting(here: str, anywhere: bool = False) -> Select[Any]:
    """Runs that wait and that this machine may have."""
    mine = or_(RunRow.host.is_(None), RunRow.host == here)
    if anywhere:
        only_there = select(CheckpointRow.run_id).where(
            CheckpointRow.run_id == RunRow.id, CheckpointRow.stored.is_(None)
        )
        mine = or_(mine, ~only_there.exists())
    return select(RunRow).where(RunRow.status == Status.QUEUED, TRAINED, RunRow.deleted_at.is_(None), mine)


def attend(database: Database, run_id: int, pid: int | None, process_started: float | None = None) -> None:
    """Note which process waits for a queued run's turn, to train it itself; None for none any longer.

    Nothing is changed where the run is no longer queued.
    """
    with database.write() as session:
        run = locked(session, run_id)
        if run.status == Status.QUEUED:
            run.worker = None if pid is None else process_handle(pid, process_started)


def waiting_classes(database: Database, host: str | None = None, anywhere: bool = False) -> dict[str, float]:
    """The classes of devices that runs wait for which this machine may claim, with the earliest's time.

    There are none where the queue is frozen.

    Args:
        database: The run database.
        host: This machine.
        anywhere: As in `claim`.
    """
    query = _waiting(host or socket.gethostname(), anywhere)
    columns = RunRow.device_class, func.min(RunRow.queued)
    by_class = query.with_only_columns(*columns).group_by(RunRow.device_class)
    with database.read() as session:
        return {} if is_frozen(session) else {row[0]: row[1] for row in session.execute(by_class)}


def attach(
    database: Database,
    lease: Lease,
    pid: int | None = None,
    process_started: float | None = None,
    *,
    worker: Mapping[str, Any] | None = None,
) -> None:
    """Note who works on the run: a process, or the handle that another kind of worker has.

    Args:
        database: The run database.
        lease: From `claim`.
        pid: The process's number.
        process_started: Its time of start.
        worker: The handle, in place of both.

    Raises `StaleAttemptError`.
    """
    if worker is None:
        if pid is None:
            raise ValueError("A worker is a process of a number, or has a handle.")
        worker = process_handle(pid, process_started)
    with database.write() as session:
        run = held(session, lease)
        run.worker, run.heartbeat = dict(worker), time.time()


def begin(
    database: Database,
    lease: Lease,
    from_step: int = FROM_SCRATCH,
    epoch: float = 0.0,
    facts: RunFacts | None = None,
) -> None:
    """The worker has loaded its checkpoint and trains from here: the run is running.

    In the same transaction all that was logged after the checkpoint's step goes; a reader learns of it from
    the `Restart`. The step is that of the file which was really loaded: whatever a worker was killed between,
    nothing else knows it.

    Args:
        database: The run database.
        lease: From `claim`.
        from_step: Step of the checkpoint, `FROM_SCRATCH` without one.
        epoch: Its epoch.
        facts: What the worker found out about the run.

    Raises `StaleAttemptError`.
    """
    now = time.time()
    known = {name: value for name, value in asdict(facts or RunFacts()).items() if value is not None}
    with database.write() as session:
        run = held(session, lease)
        become(session, run, Status.RUNNING)
        truncate(session, run.id, from_step)
        session.add(AttemptRow(run_id=run.id, number=run.attempt, from_step=from_step, began=now))
        run.step, run.epoch, run.began, run.heartbeat = max(from_step, 0), epoch, now, now
        for name, value in known.items():
            setattr(run, name, value)


def end(
    database: Database,
    lease: Lease,
    status: Status,
    error: str | None = None,
    last_lines: str | None = None,
    note: str | None = None,
) -> None:
    """The worker has left: the run is paused, stopped, finished, failed or interrupted.

    A worker says so itself; a supervisor says so of a worker that can no longer.

    Args:
        database: The run database.
        lease: From `claim`, or `Run.lease`.
        status: The new state.
        error: A sentence on what happened.
        last_lines: The end of the worker's error output; its last 20,000 characters are kept.
        note: Why it ended where nothing went wrong, for the event log.

    Raises `StaleAttemptError`, and `WrongStateError` for a state that is no end. A run that was asked
    to stop while its worker paused is stopped.
    """
    if status in ACTIVE or status is Status.QUEUED:
        raise WrongStateError(f"A run does not end as {status}.")
    with database.write() as session:
        _end(session, held(session, lease), status, error, last_lines, note)


def _end(
    session: Session,
    run: RunRow,
    status: Status,
    error: str | None = None,
    last_lines: str | None = None,
    note: str | None = None,
) -> None:
    now = time.time()
    # Nobody knows when a worker that was killed died; it lived at its last heartbeat.
    lived = run.heartbeat if status is Status.INTERRUPTED and run.heartbeat else now
    if run.began is not None:
        run.earlier_seconds += max(0.0, lived - run.began)
    run.ended, run.error = lived, error
    run.last_lines = last_lines[-LAST_LINES:] if last_lines else None
    run.worker = None
    withdraw(session, run.id)
    asked = run.status == Status.STOPPING and status is Status.PAUSED
    become(session, run, Status.STOPPED if asked else status, error or note)
    if run.device.startswith(f"{CPU}:"):
        run.device = CPU  # where it was beside another; resumed, it waits its turn


MOST_TRIES = 3
"""How often a run goes on by itself after its machine was gone."""


def move_on(database: Database, lease: Lease, reason: str, *, here: bool = False) -> Status:
    """Record that a run's machine is gone, and queue the run again where another one can go on with it.

    That is so where every checkpoint of the run lies in the store (or there is none yet) and it has not moved
    `MOST_TRIES` times. It keeps its place in the queue, which is far in front. What its old worker writes
    from now on is refused. What a page had asked for is done: it is paused or stopped then.

    Args:
        database: The run database.
        lease: From `Run.lease`.
        reason: A sentence on what happened.
        here: The machine is there, and only what trained on it is gone: the run can go on there.

    Returns:
        The state it is in after that.

    Raises `StaleAttemptError`.
    """
    with database.write() as session:
        run = held(session, lease)
        asked = take_command(session, run.id)
        if run.status == Status.STOPPING or asked is Command.STOP:
            _end(session, run, Status.STOPPED, reason)
        elif asked is Command.PAUSE and run.status == Status.RUNNING:
            _end(session, run, Status.PAUSED, reason)
        else:
            _end(session, run, Status.INTERRUPTED, reason)
            if run.tries < MOST_TRIES and (here or _is_movable(session, run.id)):
                run.tries += 1
                run.error = None
                become(session, run, Status.QUEUED, reason)
        status = Status(run.status)
    ring()
    return status


def _is_movable(session: Session, run_id: int) -> bool:
    """Whether no checkpoint of the run lies on its machine alone."""
    there = select(func.count()).select_from(CheckpointRow)
    return not session.scalar(there.where(CheckpointRow.run_id == run_id, CheckpointRow.stored.is_(None)))


# Begin a run database anew: set a damaged file aside, and insert runs that were read from their folders.

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
    for each in run.checkpoints:
        add_checkpoint(
            database, lease, each.kind, each.path, each.step, each.epoch, each.bytes, each.digest, each.stored
        )
    end(database, lease, run.status)
    with database.write() as session:
        row = session.get_one(RunRow, run.id)
        row.host, row.ended = socket.gethostname(), None
