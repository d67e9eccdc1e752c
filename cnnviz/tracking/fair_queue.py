"""Fair queue: owners take turns, and of one owner's runs the oldest comes first.

Whose turn it is follows from when each owner's last run was claimed, a setting of the owner: who was served
longest ago, or never, comes next. With one owner that is first come, first served.
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
"""Setting of an owner: when a run of theirs was claimed last, seconds since 1970."""
Waiting = tuple[int, float, int]
"""A run that waits: owner, when it was queued, its number."""


MOST_TRIED = 50
"""Runs of one owner that a machine looks at, at most, for one that it can take."""


def next_run(
    session: Session, waiting: Select[Any], accepts: Callable[[RunRow], bool] | None = None
) -> RunRow | None:
    """The run whose turn it is, kept from other writers, and its owner noted as served.

    Owners who have trained as long today as they may are passed over, and runs that the machine cannot take.

    Args:
        session: Of the transaction that claims it.
        waiting: Selects the runs that may be claimed.
        accepts: Whether the machine can take a run; all that wait by default.
    """
    # The oldest of each owner by a look-up in the index of turns: to group what waits would read all of it.
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


def in_turn(waiting: Iterable[Waiting], served: Mapping[int, float]) -> list[int]:
    """The numbers of runs in the order in which one device takes them, if nothing else is queued.

    Args:
        waiting: The runs that wait.
        served: When each owner's last run was claimed; nothing for who was never served.
    """
    runs: dict[int, list[tuple[float, int]]] = {}
    for owner, queued, number in waiting:
        runs.setdefault(owner, []).append((queued, number))
    for each in runs.values():
        each.sort(reverse=True)
    # A turn puts an owner behind all others: later than whatever was served so far.
    turn = max(served.values(), default=0.0)
    heap = [(served.get(owner, 0.0), each[-1][0], owner) for owner, each in runs.items()]
    heapq.heapify(heap)
    order = []
    while heap:
        _, _, owner = heapq.heappop(heap)
        order.append(runs[owner].pop()[1])
        turn += 1.0
        if runs[owner]:
            heapq.heappush(heap, (turn, runs[owner][-1][0], owner))
    return order


def queue_order(database: Database) -> list[int]:
    """The numbers of all runs that wait, in the order in which one device would take them."""
    query = select(func.coalesce(RunRow.owner_id, LOCAL_OWNER), RunRow.queued, RunRow.id).where(
        RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)
    )
    with database.read() as session:
        return in_turn([(row[0], row[1], row[2]) for row in session.execute(query)], _served(session))
