"""Status transitions and lease checks: the only place where a run's status changes.

All functions run inside the caller's transaction and lock the run's row against other writers.
"""

from __future__ import annotations

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnnviz.tracking.database import NoSuchRunError, QueueFullError, StaleAttemptError
from cnnviz.tracking.records import Lease
from cnnviz.tracking.states import ACTIVE, Status, check_transition
from cnnviz.tracking.tables import RunRow, StatusRow

MOST_QUEUED = 200
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
            f"At most {MOST_QUEUED} runs wait at once, and {MOST_QUEUED - remaining} do; "
            + (f"{wanted} more do not fit, {remaining} would: " if wanted > 1 else "")
            + "wait until some have ended, or take some out of the queue."
        )


def remaining_capacity(session: Session) -> int:
    """Return the number of further runs that the queue can hold."""
    waiting = select(func.count()).select_from(RunRow)
    count = session.scalar(waiting.where(RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)))
    return max(0, MOST_QUEUED - (count or 0))


def set_status(session: Session, run: RunRow, new: Status, reason: str | None = None) -> None:
    """Change the status of a run and log the transition; raise `WrongStateError` if it is not allowed."""
    old = Status(run.status)
    check_transition(run.id, old, new)
    run.status = new.value
    session.add(
        StatusRow(
            run_id=run.id, attempt=run.attempt, old=old.value, new=new.value, time=time.time(), reason=reason
        )
    )
