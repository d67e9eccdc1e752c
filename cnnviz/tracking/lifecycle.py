"""How a run changes state. Every change is checked, made and stamped in `_become`, in one transaction.

A page calls `request`; a supervisor `claim` and `attach`; a worker `begin` and `end`. Whoever works on a run
holds a `Lease`: what is done with one is refused once the run was claimed again or has ended.
"""

from __future__ import annotations

import socket
import time
from dataclasses import asdict

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import NoSuchRunError, StaleAttemptError, WrongStateError
from cnnviz.tracking.records import Lease, RunFacts
from cnnviz.tracking.states import ACTIVE, RESUMABLE, Command, Status, check
from cnnviz.tracking.tables import AttemptRow, CommandRow, RunRow, StatusRow
from cnnviz.tracking.truncate import truncate

FROM_SCRATCH = -1
LAST_LINES = 20_000


def claim(
    database: Database, device: str, host: str | None = None, only: int | None = None
) -> Lease | None:
    """Take the run that has waited longest for `device`; None where none waits or the device is taken.

    However many processes ask at once, one of them gets the run, and a device of a machine gets one run. The
    attempt rises with the claim, so that a worker of an earlier one is refused from then on.

    Args:
        database: The run database.
        device: As runs name it: `cpu`, `cuda:0`.
        host: This machine. A run that has files on another one waits for that one.
        only: Take this run and no other, though others may have waited longer.
    """
    here = host or socket.gethostname()
    with database.write() as session:
        database.serialise(session)
        taken = select(RunRow.id).where(
            RunRow.host == here, RunRow.device == device, RunRow.status.in_(sorted(ACTIVE))
        )
        if session.scalar(taken.limit(1)) is not None:
            return None
        waiting = select(RunRow).where(
            RunRow.status == Status.QUEUED,
            RunRow.device == device,
            RunRow.deleted_at.is_(None),
            or_(RunRow.host.is_(None), RunRow.host == here),
        )
        if only is not None:
            waiting = waiting.where(RunRow.id == only)
        run = session.scalar(waiting.order_by(RunRow.queued, RunRow.id).limit(1).with_for_update())
        if run is None:
            return None
        run.attempt += 1
        run.host, run.began, run.ended = here, None, None
        run.error = run.last_lines = run.worker_pid = run.worker_started = None
        run.heartbeat = time.time()
        _become(session, run, Status.STARTING)
        return Lease(run.id, run.attempt)


def attach(database: Database, lease: Lease, pid: int, process_started: float) -> None:
    """Note which process works on the run: its number and, since numbers are reused, its time of start.

    Raises `StaleAttemptError`.
    """
    with database.write() as session:
        run = held(session, lease)
        run.worker_pid, run.worker_started, run.heartbeat = pid, process_started, time.time()


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
        _become(session, run, Status.RUNNING)
        truncate(session, run.id, from_step)
        session.add(AttemptRow(run_id=run.id, number=run.attempt, from_step=from_step, began=now))
        run.step, run.epoch, run.began, run.heartbeat = max(from_step, 0), epoch, now, now
        for name, value in known.items():
            setattr(run, name, value)


def end(
    database: Database, lease: Lease, status: Status, error: str | None = None, last_lines: str | None = None
) -> None:
    """The worker has left: the run is paused, stopped, finished, failed or interrupted.

    A worker says so itself; a supervisor says so of a worker that can no longer.

    Args:
        database: The run database.
        lease: From `claim`, or `Run.lease`.
        status: The new state.
        error: A sentence on what happened.
        last_lines: The end of the worker's error output; its last 20,000 characters are kept.

    Raises `StaleAttemptError`, and `WrongStateError` for a state that is no end. A run that was asked
    to stop while its worker paused is stopped.
    """
    if status in ACTIVE or status is Status.QUEUED:
        raise WrongStateError(f"A run does not end as {status}.")
    with database.write() as session:
        run = held(session, lease)
        now = time.time()
        # Nobody knows when a worker that was killed died; it lived at its last heartbeat.
        lived = run.heartbeat if status is Status.INTERRUPTED and run.heartbeat else now
        if run.began is not None:
            run.earlier_seconds += max(0.0, lived - run.began)
        run.ended, run.error = lived, error
        run.last_lines = last_lines[-LAST_LINES:] if last_lines else None
        run.worker_pid = run.worker_started = None
        _withdraw(session, run.id)
        asked = run.status == Status.STOPPING and status is Status.PAUSED
        _become(session, run, Status.STOPPED if asked else status, error)


def request(database: Database, run_id: int, command: Command) -> Status:
    """Ask a run to pause, stop or go on, and return the state it is in after that.

    Where no worker has the run the state changes at once. A worker finds the command in
    `MetricWriter.command`; asked to stop, its run is `stopping` at once. Asking twice is asking once;
    resuming a run that has not heard yet of its pause withdraws the pause.

    Raises `NoSuchRunError`, and `WrongStateError` where the run cannot do that.
    """
    with database.write() as session:
        run = locked(session, run_id)
        if run.deleted_at is not None:
            raise WrongStateError(f"Run {run_id} is deleted; restore it first.")
        status = Status(run.status)
        if command is Command.RESUME:
            _resume(session, run, status)
        elif status in ACTIVE:
            _tell(session, run, command)
        elif status in (Status.QUEUED, Status.PAUSED):
            wanted = Status.PAUSED if command is Command.PAUSE else Status.STOPPED
            if wanted is not status:
                _become(session, run, wanted)
        else:
            raise WrongStateError(f"Run {run_id} is {status}; there is nothing to {command}.")
        return Status(run.status)


def pending(database: Database, run_id: int) -> Command | None:
    """The command that a worker has not taken yet, if there is one."""
    with database.read() as session:
        found = session.scalars(_pending(run_id)).all()
    return _strongest([Command(row.kind) for row in found])


def take_command(session: Session, run_id: int) -> Command | None:
    """Take what a page has asked for, inside a worker's transaction. Stopping overrides pausing."""
    rows = session.scalars(_pending(run_id)).all()
    for row in rows:
        row.taken = time.time()
    return _strongest([Command(row.kind) for row in rows])


def locked(session: Session, run_id: int) -> RunRow:
    """The row of a run, kept from other writers until the transaction ends; raises `NoSuchRunError`."""
    row = session.get(RunRow, run_id, with_for_update=True)
    if row is None:
        raise NoSuchRunError(f"There is no run {run_id}.")
    return row


def held(session: Session, lease: Lease) -> RunRow:
    """The row of a run that the lease still gives a right to; raises `StaleAttemptError`."""
    row = locked(session, lease.run_id)
    if row.attempt != lease.attempt:
        raise StaleAttemptError(
            f"Run {row.id} is in attempt {row.attempt}; the worker of attempt {lease.attempt} is too late."
        )
    if row.status not in ACTIVE:
        raise StaleAttemptError(f"Run {row.id} is {row.status}; its worker is too late.")
    return row


def _become(session: Session, run: RunRow, new: Status, reason: str | None = None) -> None:
    old = Status(run.status)
    check(run.id, old, new)
    run.status = new.value
    session.add(
        StatusRow(
            run_id=run.id, attempt=run.attempt, old=old.value, new=new.value, time=time.time(), reason=reason
        )
    )


def _resume(session: Session, run: RunRow, status: Status) -> None:
    if status in (Status.STARTING, Status.RUNNING):
        _withdraw(session, run.id)
        return
    if status not in RESUMABLE:
        raise WrongStateError(f"Run {run.id} is {status}; there is nothing to resume.")
    run.queued = time.time()
    run.error = run.last_lines = None
    _become(session, run, Status.QUEUED)


def _tell(session: Session, run: RunRow, command: Command) -> None:
    if all(row.kind != command for row in session.scalars(_pending(run.id))):
        session.add(CommandRow(run_id=run.id, kind=command.value, created=time.time()))
    if command is Command.STOP and run.status == Status.RUNNING:
        _become(session, run, Status.STOPPING)


def _withdraw(session: Session, run_id: int) -> None:
    waiting = update(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))
    session.execute(waiting.values(taken=time.time()))


def _pending(run_id: int) -> Select[CommandRow]:
    return select(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))


def _strongest(commands: list[Command]) -> Command | None:
    return Command.STOP if Command.STOP in commands else next(iter(commands), None)
