"""Fair queue: round-robin over owners, first in, first out within one owner.

The next owner is the one whose last run was claimed longest ago (a setting of the owner), or never. With one
owner this is first come, first served.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from cnnviz.tracking.database import Database
from cnnviz.tracking.limits import GLOBAL, limits_of, minutes_today, put_setting
from cnnviz.tracking.states import Status
from cnnviz.tracking.tables import LOCAL_OWNER, OwnerRow, RunRow, SettingRow

SERVED = "served"
"""Key of an owner's setting: Unix time at which one of its runs was last claimed."""
Waiting = tuple[int, float, int]
"""A queued run: owner id, time of queuing, run id."""


MOST_TRIED = 50
"""Maximum number of runs of one owner that a machine checks for one that it can run."""


def next_run(
    session: Session, waiting: Select[Any], accepts: Callable[[RunRow], bool] | None = None
) -> RunRow | None:
    """Select and lock the next run to claim, and mark its owner as served.

    Owners who have used up today's minutes are skipped, as are runs that the machine cannot run.

    Args:
        session: The transaction that claims the run.
        waiting: Query of the runs that may be claimed.
        accepts: Returns whether the machine can run a run; all are accepted by default.

    Returns:
        The run's row, or None.
    """
    # One index look-up per owner for its oldest run: GROUP BY would read the whole queue.
    of_owner = waiting.where(RunRow.owner_id == OwnerRow.id).order_by(RunRow.queued).limit(1)
    oldest_queued = of_owner.with_only_columns(RunRow.queued).correlate(OwnerRow).scalar_subquery()
    oldest = [row for row in session.execute(select(OwnerRow.id, oldest_queued)) if row[1] is not None]
    last = _served(session)
    now = time.time()
    for number, _ in sorted(oldest, key=lambda row: (last.get(row[0], 0.0), row[1], row[0])):
        if number != LOCAL_OWNER and minutes_today(session, number, now) >= limits_of(session).minutes:
            continue
        theirs = waiting.where(RunRow.owner_id == number).order_by(RunRow.queued, RunRow.id)
        rows = session.scalars(theirs.limit(1 if accepts is None else MOST_TRIED).with_for_update())
        run: RunRow | None = next((row for row in rows if accepts is None or accepts(row)), None)
        if run is not None:
            put_setting(session, f"owner:{number}", SERVED, now)
            return run
    return None


def _served(session: Session) -> dict[int, float]:
    query = select(SettingRow.scope, SettingRow.value).where(
        SettingRow.key == SERVED, SettingRow.scope != GLOBAL
    )
    return {int(scope.partition(":")[2]): float(value) for scope, value in session.execute(query)}


def fair_order(waiting: Iterable[Waiting], served: Mapping[int, float]) -> list[int]:
    """Return the order in which a single device would run the queued runs.

    Args:
        waiting: The queued runs.
        served: Time of the last claim by owner; owners who were never served are missing.

    Returns:
        Run ids, first one first.
    """
    runs: dict[int, list[tuple[float, int]]] = {}
    for owner, queued, number in waiting:
        runs.setdefault(owner, []).append((queued, number))
    for queue in runs.values():
        queue.sort(reverse=True)
    # Serving an owner moves it behind all others: its time is later than all times so far.
    served_at = max(served.values(), default=0.0)
    heap = [(served.get(owner, 0.0), queue[-1][0], owner) for owner, queue in runs.items()]
    heapq.heapify(heap)
    order = []
    while heap:
        _, _, owner = heapq.heappop(heap)
        order.append(runs[owner].pop()[1])
        served_at += 1.0
        if runs[owner]:
            heapq.heappush(heap, (served_at, runs[owner][-1][0], owner))
    return order


def queue_order(database: Database) -> list[int]:
    """Return the ids of all queued runs in the order in which a single device would run them."""
    query = select(func.coalesce(RunRow.owner_id, LOCAL_OWNER), RunRow.queued, RunRow.id).where(
        RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)
    )
    with database.read() as session:
        return fair_order([(row[0], row[1], row[2]) for row in session.execute(query)], _served(session))
