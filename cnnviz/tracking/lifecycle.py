"""How a run is worked on: a supervisor calls `claim` and `attach`, a worker `begin` and `end`.

Whoever works on a run holds a `Lease`: what is done with one is refused once the run was claimed again or has
ended. What a page does is in `commands`.
"""

from __future__ import annotations

import socket
import time
from dataclasses import asdict
from itertools import count

from sqlalchemy import or_, select

from cnnviz.tracking.change import become, held, locked
from cnnviz.tracking.commands import withdraw
from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import WrongStateError
from cnnviz.tracking.records import Lease, RunFacts
from cnnviz.tracking.states import ACTIVE, Status
from cnnviz.tracking.tables import AttemptRow, RunRow
from cnnviz.tracking.truncate import truncate

FROM_SCRATCH = -1
CPU = "cpu"
LAST_LINES = 20_000


def claim(
    database: Database, device: str, host: str | None = None, only: int | None = None, beside: bool = False
) -> Lease | None:
    """Take the run that has waited longest for `device`; None where none waits or the device is taken.

    However many processes ask at once, one of them gets the run, and a device of a machine gets one run. The
    attempt rises with the claim, so that a worker of an earlier one is refused from then on.

    Args:
        database: The run database.
        device: As runs name it: `cpu`, `cuda:0`.
        host: This machine. A run that has files on another one waits for that one.
        only: Take this run and no other, though others may have waited longer.
        beside: Train on the CPU beside the run that has it: the run's device is `cpu:1`, `cpu:2`, … until it
            ends.

    Raises `WrongStateError` where it should be beside a run on a device other than the CPU.
    """
    if beside and device != CPU:
        raise WrongStateError(f"Only on the CPU does a run train beside another, not on {device}.")
    here = host or socket.gethostname()
    with database.write() as session:
        database.serialise(session)
        held_here = select(RunRow.device).where(RunRow.host == here, RunRow.status.in_(sorted(ACTIVE)))
        taken = set(session.scalars(held_here))
        if device in taken and not beside:
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
        if device in taken:  # A name of its own each, since a device has one run.
            run.device = next(name for i in count(1) if (name := f"{CPU}:{i}") not in taken)
        run.attempt += 1
        run.host, run.began, run.ended = here, None, None
        run.error = run.last_lines = run.worker_pid = run.worker_started = None
        run.heartbeat = time.time()
        become(session, run, Status.STARTING)
        return Lease(run.id, run.attempt)


def attend(database: Database, run_id: int, pid: int | None, process_started: float | None = None) -> None:
    """Note which process waits for a queued run's turn, to train it itself; None for none any longer.

    Nothing is changed where the run is no longer queued.
    """
    with database.write() as session:
        run = locked(session, run_id)
        if run.status == Status.QUEUED:
            run.worker_pid, run.worker_started = pid, process_started


def waiting_devices(database: Database, host: str | None = None) -> frozenset[str]:
    """The devices that runs wait for which this machine may claim: one query of an index.

    Args:
        database: The run database.
        host: This machine.
    """
    here = host or socket.gethostname()
    query = select(RunRow.device).where(
        RunRow.status == Status.QUEUED,
        RunRow.deleted_at.is_(None),
        or_(RunRow.host.is_(None), RunRow.host == here),
    )
    with database.read() as session:
        return frozenset(session.scalars(query.distinct()))


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
        become(session, run, Status.RUNNING)
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
        withdraw(session, run.id)
        asked = run.status == Status.STOPPING and status is Status.PAUSED
        become(session, run, Status.STOPPED if asked else status, error)
        if run.device.startswith(f"{CPU}:"):
            run.device = CPU  # where it was beside another; resumed, it waits its turn
