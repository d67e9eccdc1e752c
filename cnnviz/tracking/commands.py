"""What a page asks of a run: written by the page, taken by the run's worker."""

from __future__ import annotations

import threading
import time

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import WrongStateError
from cnnviz.tracking.limits import check_limits, require_owner
from cnnviz.tracking.states import ACTIVE, RESUMABLE, Command, Kind, Status
from cnnviz.tracking.tables import LOCAL_OWNER, CommandRow, RunRow
from cnnviz.tracking.transitions import become, check_room, free_places, locked

# Rings where something was asked of runs in this process, so that its supervisor looks at once.
#
# What other processes ask for is found by looking now and then. Nothing depends on a ring being heard.

_rung = threading.Condition()
_rings = 0


def ring() -> None:
    """Wake whoever waits."""
    global _rings
    with _rung:
        _rings += 1
        _rung.notify_all()


def rings() -> int:
    """How often it has rung: ask before looking at the database, and give it to `wait` afterwards."""
    return _rings


def wait(heard: int, seconds: float) -> None:
    """Return after so many seconds, or as soon as it has rung more than `heard` times."""
    with _rung:
        _rung.wait_for(lambda: _rings > heard, seconds)


def request(database: Database, run_id: int, command: Command) -> Status:
    """Ask a run to pause, stop or go on, and return the state it is in after that.

    Where no worker has the run the state changes at once. A worker finds the command in
    `MetricWriter.command`; asked to stop, its run is `stopping` at once. Asking twice is asking once;
    resuming a run that has not heard yet of its pause withdraws the pause.

    Raises `NoSuchRunError`, `WrongStateError` where the run cannot do that, `QueueFullError` where it should
    wait and no more runs may.
    """
    with database.write() as session:
        run = locked(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.deleted_at is not None:
            raise WrongStateError(f"Run {run_id} is deleted; restore it first.")
        status = Status(run.status)
        _check_kind(run, command)
        if command is Command.RESUME:
            _resume(session, run, status)
        elif status in ACTIVE:
            _tell(session, run, command)
        elif status in (Status.QUEUED, Status.PAUSED):
            wanted = Status.PAUSED if command is Command.PAUSE else Status.STOPPED
            if wanted is not status:
                become(session, run, wanted)
        else:
            raise WrongStateError(f"Run {run_id} is {status}; there is nothing to {command}.")
        status = Status(run.status)
    ring()
    return status


def _check_kind(run: RunRow, command: Command) -> None:
    """Refuse what only a run of ours can do: of a watched one, all but the request to stop."""
    if run.kind == Kind.TRAINED or (run.kind == Kind.WATCHED and command is Command.STOP):
        return
    why = {
        Kind.WATCHED: "is a training loop in a process of its own; it can be asked to stop",
        Kind.IMPORTED: "is a history that was imported; there is nothing to train",
        Kind.RECORDED: "ships with cnnviz; there is nothing to train",
    }
    raise WrongStateError(f"Run {run.id} {why[Kind(run.kind)]}, and not to {command}.")


def require_room(database: Database, wanted: int) -> None:
    """Raise `QueueFullError` unless so many more runs may wait now."""
    with database.read() as session:
        check_room(session, wanted)


def room_in_queue(database: Database) -> int:
    """How many more runs may wait now."""
    with database.read() as session:
        return free_places(session)


def first_in_queue(database: Database, run_id: int) -> None:
    """Let a run that waits be the next of its owner's.

    Raises `NoSuchRunError`, `WrongStateError` and `NotOwnerError`.
    """
    with database.write() as session:
        run = locked(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.status != Status.QUEUED:
            raise WrongStateError(f"Run {run_id} is {run.status}; it does not wait.")
        ahead = select(func.min(RunRow.queued)).where(
            RunRow.status == Status.QUEUED, RunRow.owner_id == run.owner_id, RunRow.id != run_id
        )
        earliest = session.scalar(ahead)
        if earliest is not None and earliest <= run.queued:
            run.queued = earliest - 1.0


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


def withdraw(session: Session, run_id: int) -> None:
    """Void what was asked for and not taken."""
    waiting = update(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))
    session.execute(waiting.values(taken=time.time()))


def _resume(session: Session, run: RunRow, status: Status) -> None:
    if status in (Status.STARTING, Status.RUNNING):
        withdraw(session, run.id)
        return
    if status not in RESUMABLE:
        raise WrongStateError(f"Run {run.id} is {status}; there is nothing to resume.")
    check_limits(session, run.owner_id or LOCAL_OWNER)
    check_room(session)
    run.queued, run.tries = time.time(), 0
    run.error = run.last_lines = None
    become(session, run, Status.QUEUED)


def _tell(session: Session, run: RunRow, command: Command) -> None:
    if all(row.kind != command for row in session.scalars(_pending(run.id))):
        session.add(CommandRow(run_id=run.id, kind=command.value, created=time.time()))
    if command is Command.STOP and run.status == Status.RUNNING:
        become(session, run, Status.STOPPING)


def _pending(run_id: int) -> Select[CommandRow]:
    return select(CommandRow).where(CommandRow.run_id == run_id, CommandRow.taken.is_(None))


def _strongest(commands: list[Command]) -> Command | None:
    return Command.STOP if Command.STOP in commands else next(iter(commands), None)
