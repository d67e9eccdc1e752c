"""The one place where a run changes state, and where the right to write to it is checked.

All of it happens inside the caller's transaction, with the run's row kept from other writers.
"""

from __future__ import annotations

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnnviz.tracking.errors import NoSuchRunError, QueueFullError, StaleAttemptError
from cnnviz.tracking.records import Lease
from cnnviz.tracking.states import ACTIVE, Status, check
from cnnviz.tracking.tables import RunRow, StatusRow

MOST_QUEUED = 200
"""Runs that may wait: a click or a link must not fill the queue for weeks."""


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


def check_room(session: Session, wanted: int = 1) -> None:
    """Raise `QueueFullError` unless so many more runs may wait; inside the transaction that queues them."""
    left = free_places(session)
    if wanted > left:
        raise QueueFullError(
            f"At most {MOST_QUEUED} runs wait at once, and {MOST_QUEUED - left} do; "
            + (f"{wanted} more do not fit, {left} would: " if wanted > 1 else "")
            + "wait until some have ended, or take some out of the queue."
        )


def free_places(session: Session) -> int:
    """How many more runs may wait."""
    waiting = select(func.count()).select_from(RunRow)
    found = session.scalar(waiting.where(RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)))
    return max(0, MOST_QUEUED - (found or 0))


def become(session: Session, run: RunRow, new: Status, reason: str | None = None) -> None:
    """Change the state of a run and stamp the change; raises `WrongStateError` where it is not allowed."""
    old = Status(run.status)
    check(run.id, old, new)
    run.status = new.value
    session.add(
        StatusRow(
            run_id=run.id, attempt=run.attempt, old=old.value, new=new.value, time=time.time(), reason=reason
        )
    )
