"""Changes of a run's status, and commands to it: pause, stop and resume, from a page to its worker."""

from __future__ import annotations

import threading
import time

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from cnnviz.access import principal
from cnnviz.tracking.database import (
    Database,
    NoSuchRunError,
    QueueFullError,
    StaleAttemptError,
    WrongStateError,
)
from cnnviz.tracking.limits import check_limits, find_owner_id, over_minutes, require_owner
from cnnviz.tracking.records import ACTIVE, ALLOWED, RESUMABLE, Command, Kind, Lease, Status
from cnnviz.tracking.tables import LOCAL_OWNER, CommandRow, RunRow, StatusRow

# Status transitions and lease checks: the only place where a run's status changes.
#
# All functions run inside the caller's transaction and lock the run's row against other writers.

MAX_QUEUED = 200
"""Maximum number of queued runs, so that one click or link cannot fill the queue for weeks."""


def lock_run(session: Session, run_id: int) -> RunRow:
    """Return the row of a run, locked until the transaction ends; raise `NoSuchRunError` if there is none."""
    row = session.get(RunRow, run_id, with_for_update=True)
    if row is None:
        raise NoSuchRunError(f"There is no run {run_id}.")
    return row


def require_lease(session: Session, lease: Lease) -> RunRow:
    """Return the locked row of the lease's run; raise `StaleAttemptError` if the lease is no longer valid."""
    row = lock_run(session, lease.run_id)
    if row.attempt != lease.attempt:
        raise StaleAttemptError(
            f"Run {row.id} is in attempt {row.attempt}; the worker of attempt {lease.attempt} is too late."
        )
    if row.status not in ACTIVE:
        raise StaleAttemptError(f"Run {row.id} is {row.status}; its worker is too late.")
    return row


def check_capacity(session: Session, wanted: int = 1) -> None:
    """Raise `QueueFullError` unless `wanted` more runs fit; call in the transaction that queues them."""
    remaining = remaining_capacity(session)
    if wanted > remaining:
        raise QueueFullError(
            f"At most {MAX_QUEUED} runs wait at once, and {MAX_QUEUED - remaining} do; "
            + (f"{wanted} more do not fit, {remaining} would: " if wanted > 1 else "")
            + "wait until some have ended, or take some out of the queue."
        )


def remaining_capacity(session: Session) -> int:
    """Return the number of further runs that the queue can hold."""
    waiting = select(func.count()).select_from(RunRow)
    count = session.scalar(waiting.where(RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)))
    return max(0, MAX_QUEUED - (count or 0))


def set_status(session: Session, run: RunRow, new: Status, reason: str | None = None) -> None:
    """Change the status of a run and log the transition; raise `WrongStateError` if it is not allowed."""
    old = Status(run.status)
    if new not in ALLOWED[old]:
        raise WrongStateError(f"Run {run.id} is {old} and cannot become {new}.")
    run.status = new.value
    session.add(
        StatusRow(
            run_id=run.id, attempt=run.attempt, old=old.value, new=new.value, time=time.time(), reason=reason
        )
    )


# In-process notification of new commands and queued runs, so that the supervisor polls the database at once.
#
# Commands of other processes are found by periodic polling. Correctness does not depend on notifications.

_rung = threading.Condition()
_rings = 0


def notify() -> None:
    """Notify all waiting threads of a new command or a queued run."""
    global _rings
    with _rung:
        _rings += 1
        _rung.notify_all()


def notification_count() -> int:
    """Return the number of notifications; read it before the database, and pass it to `wait` afterwards."""
    return _rings


def wait(heard: int, seconds: float) -> None:
    """Block for up to `seconds`, or until there are more than `heard` notifications."""
    with _rung:
        _rung.wait_for(lambda: _rings > heard, seconds)


def request(database: Database, run_id: int, command: Command) -> Status:
    """Send a command to a run and return its status afterwards.

    Without a worker the status changes at once. A worker reads the command from `MetricWriter.command`; a run
    that is asked to stop becomes `stopping` at once. Repeating a command has no effect; resuming a run whose
    worker has not seen the pause yet withdraws the pause.

    Args:
        database: The run database.
        run_id: The run.
        command: The command.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The command is not valid in the run's status.
        QueueFullError: The run would be queued and the queue is full.
    """
    with database.write() as session:
        run = lock_run(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.deleted_at is not None:
            raise WrongStateError(f"Run {run_id} is deleted; restore it first.")
        status = Status(run.status)
        _check_kind(run, command)
        if command is Command.RESUME:
            _resume(session, run, status)
        elif status in ACTIVE:
            _send(session, run, command)
        elif status in (Status.QUEUED, Status.PAUSED):
            new_status = Status.PAUSED if command is Command.PAUSE else Status.STOPPED
            if new_status is not status:
                set_status(session, run, new_status)
        else:
            raise WrongStateError(f"Run {run_id} is {status}; there is nothing to {command}.")
        status = Status(run.status)
    notify()
    return status


def _check_kind(run: RunRow, command: Command) -> None:
    """Raise `WrongStateError` unless the kind of run supports the command; a watched run can only stop."""
    if run.kind == Kind.TRAINED or (run.kind == Kind.WATCHED and command is Command.STOP):
        return
    reasons = {
        Kind.WATCHED: "is a training loop in a process of its own; it can be asked to stop",
        Kind.IMPORTED: "is a history that was imported; there is nothing to train",
        Kind.RECORDED: "ships with cnnviz; there is nothing to train",
    }
    raise WrongStateError(f"Run {run.id} {reasons[Kind(run.kind)]}, and not to {command}.")


def require_queue_capacity(database: Database, wanted: int) -> None:
    """Raise `QueueFullError` or `LimitError` unless the principal can queue `wanted` more runs now."""
    with database.read() as session:
        check_capacity(session, wanted)
        if wanted:
            check_limits(session, find_owner_id(session, principal()), wanted)


def queue_capacity(database: Database) -> int:
    """Return the number of further runs that can be queued now."""
    with database.read() as session:
        return remaining_capacity(session)


def move_to_front(database: Database, run_id: int) -> None:
    """Move a queued run in front of its owner's other runs.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The run is not queued.
        NotOwnerError: The run belongs to another owner.
    """
    with database.write() as session:
        run = lock_run(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.status != Status.QUEUED:
            raise WrongStateError(f"Run {run_id} is {run.status}; it does not wait.")
        ahead = select(func.min(RunRow.queued)).where(
            RunRow.status == Status.QUEUED, RunRow.owner_id == run.owner_id, RunRow.id != run_id
        )
        earliest = session.scalar(ahead)
        if earliest is not None and earliest <= run.queued:
            run.queued = earliest - 1.0


def pause_over_limit(database: Database) -> list[int]:
    """Ask running runs to pause whose owner has used up today's minutes; return their ids."""
    ids = over_minutes(database)
    for run_id in ids:
        with database.write() as session:
            run = lock_run(session, run_id)
            if run.status == Status.RUNNING:
                _send(session, run, Command.PAUSE)
    return ids


def pending(database: Database, run_id: int) -> Command | None:
    """Return the command that the worker has not read yet, or None."""
    with database.read() as session:
        rows = session.scalars(_pending(run_id)).all()
    return _strongest([Command(row.kind) for row in rows])


def take_command(session: Session, run_id: int) -> Command | None:
    """Mark pending commands as read, in the worker's transaction; return the strongest (stop over pause)."""
    rows = session.scalars(_pending(run_id)).all()
    for row in rows:
        row.taken = time.time()
    return _strongest([Command(row.kind) for row in rows])


def withdraw(session: Session, run_id: int) -> None:
    """Withdraw all pending commands."""
    waiting = update(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))
    session.execute(waiting.values(taken=time.time()))


def _resume(session: Session, run: RunRow, status: Status) -> None:
    if status in (Status.STARTING, Status.RUNNING):
        withdraw(session, run.id)
        return
    if status not in RESUMABLE:
        raise WrongStateError(f"Run {run.id} is {status}; there is nothing to resume.")
    check_limits(session, run.owner_id or LOCAL_OWNER)
    check_capacity(session)
    run.queued, run.tries = time.time(), 0
    run.error = run.last_lines = None
    set_status(session, run, Status.QUEUED)


def _send(session: Session, run: RunRow, command: Command) -> None:
    if all(row.kind != command for row in session.scalars(_pending(run.id))):
        session.add(CommandRow(run_id=run.id, kind=command.value, created=time.time()))
    if command is Command.STOP and run.status == Status.RUNNING:
        set_status(session, run, Status.STOPPING)


def _pending(run_id: int) -> Select[CommandRow]:
    return select(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))


def _strongest(commands: list[Command]) -> Command | None:
    return Command.STOP if Command.STOP in commands else next(iter(commands), None)
