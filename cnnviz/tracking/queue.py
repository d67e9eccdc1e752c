"""Queue of runs, their claims, and the machines that claim: each reports its devices and a heartbeat.

The queue is fair: round-robin over owners, first in, first out within one owner. The next owner is
the one whose last run was claimed longest ago (a setting of the owner), or never. With one owner this is
first come, first served.
"""

from __future__ import annotations

import heapq
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from cnnviz.device_class import CPU, MAX_RANKS, choose, classes_of, describe, split
from cnnviz.tracking.commands import lock_run, set_status
from cnnviz.tracking.database import Database, WrongStateError
from cnnviz.tracking.limits import GLOBAL, has_limits, is_frozen, limits_of, minutes_today, put_setting
from cnnviz.tracking.records import ACTIVE, Kind, Lease, Status, process_handle
from cnnviz.tracking.tables import LOCAL_OWNER, CheckpointRow, MachineRow, OwnerRow, RunRow, SettingRow

BEAT_SECONDS = 10.0
"""Interval between heartbeats of a machine."""
GONE_SECONDS = 60.0
"""Timeout after which a machine, or a worker on another machine, without a heartbeat counts as lost."""
FORGOTTEN_SECONDS = 86_400.0
ALLOWS_CODE = "allow_code"
CODE = "code"
STORE = "store"
DATA = "data"
"""Key of a run's `needs`: where its data can be loaded from (only from `host`, unless stored)."""
RANKS_PER_SLOT = "ranks_per_slot"
"""Key of the number of a run's ranks that one CPU slot has room for."""


@dataclass(frozen=True)
class Machine:
    """A machine, or a cluster, with a running supervisor."""

    key: str
    host: str
    launcher: str
    devices: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Digests of its users' code, whether it accepts any code or has a store, ranks per CPU slot."""
    began: float = 0.0
    seen: float = 0.0

    @property
    def text(self) -> str:
        """Host name and devices."""
        return f"{self.host}: {describe(self.devices)}"

    def serves(self, device_class: str) -> bool:
        """Return whether it has the devices that a class requests, free or not."""
        ranks_per_slot = self.facts.get(RANKS_PER_SLOT) or MAX_RANKS
        return choose(device_class, self.devices, ranks_per_slot=ranks_per_slot) is not None

    def runs_code(self, digest: str | None) -> bool:
        """Return whether it runs users' code of this digest: started with the same code, or accepts any."""
        if not digest:
            return True
        return bool(self.facts.get(ALLOWS_CODE)) or digest in (self.facts.get(CODE) or ())


def new_key() -> str:
    """Return a random key for a machine's row."""
    return secrets.token_hex(6)


def register_machine(database: Database, machine: Machine) -> None:
    """Write or refresh a machine's row, and delete rows of machines that were lost long ago."""
    now = time.time()
    row = MachineRow(
        key=machine.key, host=machine.host, launcher=machine.launcher, devices=list(machine.devices),
        facts=dict(machine.facts), began=machine.began or now, seen=now,
    )  # fmt: skip
    with database.write() as session:
        session.merge(row)
        session.execute(delete(MachineRow).where(MachineRow.seen < now - FORGOTTEN_SECONDS))


def unregister_machine(database: Database, key: str) -> None:
    """Delete a machine's row."""
    with database.write() as session:
        session.execute(delete(MachineRow).where(MachineRow.key == key))


def machines(database: Database, within: float = GONE_SECONDS) -> list[Machine]:
    """Return the machines with a heartbeat within the last `within` seconds, by host name."""
    query = select(MachineRow).where(MachineRow.seen > time.time() - within).order_by(MachineRow.host)
    with database.read() as session:
        return [
            Machine(row.key, row.host, row.launcher, tuple(row.devices), dict(row.facts), row.began, row.seen)
            for row in session.scalars(query)
        ]


def machine_devices(available: Iterable[Machine]) -> frozenset[str]:
    """Return the devices of all machines."""
    return frozenset(device for machine in available for device in machine.devices)


def waiting_reason(
    available: Collection[Machine],
    device_class: str,
    code: str | None = None,
    needs: Mapping[str, Any] | None = None,
    host: str | None = None,
) -> str | None:
    """Return a message on why no available machine can run a queued run.

    Args:
        available: The available machines.
        device_class: The class of device that the run requests.
        code: The digest of the users' code that it runs, if any.
        needs: `needs` of its row: where its data can be loaded from.
        host: The machine that holds its checkpoints, if it has trained before.

    Returns:
        One sentence; None if some machine can run it, or if no machine is available.
    """
    if not available:
        return None
    able = [machine for machine in available if machine.serves(device_class)]
    descriptions = "; ".join(machine.text for machine in available)
    if not able:
        return (
            f"No machine that is there has what it asks for ({device_class}), so it waits. "
            f"There are: {descriptions}."
        )
    if not any(machine.runs_code(code) for machine in able):
        return (
            "It has code of its own, and no machine that is there was started with the same file or with "
            "--allow-code, so it waits."
        )
    hosts = {machine.host for machine in available}
    data = (needs or {}).get(DATA) or {}
    origin = None if data.get("stored") else data.get("host")
    if origin is not None and origin not in hosts:
        return f"Its data lie on {origin} alone, and no machine of that name is at work, so it waits."
    if host is not None and host not in hosts and not any(machine.facts.get(STORE) for machine in able):
        return f"Its checkpoint lies on {host} alone, and no machine of that name is at work, so it waits."
    return None


SERVED = "served"
"""Key of an owner's setting: Unix time at which one of its runs was last claimed."""
Waiting = tuple[int, float, int]
"""A queued run: owner id, time of queuing, run id."""


MAX_TRIED = 50
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
        if has_limits(session, number) and minutes_today(session, number, now) >= limits_of(session).minutes:
            continue
        theirs = waiting.where(RunRow.owner_id == number).order_by(RunRow.queued, RunRow.id)
        rows = session.scalars(theirs.limit(1 if accepts is None else MAX_TRIED).with_for_update())
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


# Claims: a machine takes the next run of the queue for one of its devices.

TRAINED = RunRow.kind == Kind.TRAINED.value


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
    """Claim the next run of the queue for `device`; None if there is none, or the device is in use.

    Nothing is claimed from a frozen queue, except with `only`. Owners take turns (`next_run`); with a
    single owner the run that has waited longest comes first.

    Claims are atomic: of concurrent processes one gets the run, and a device of a machine has one run. A
    claim increments the attempt, which invalidates the leases of earlier workers.

    Args:
        database: The run database.
        device: As torch names it: `cpu`, `cuda:0`; several are joined by commas.
        host: This machine. A run that has files on another machine waits for that machine.
        only: Id of the run to claim, regardless of its position in the queue.
        beside: Train on the CPU next to the run that holds it: the run's device is `cpu:1`, `cpu:2`, … until
            it ends.
        classes: Device classes that are accepted; those that `device` serves by default.
        accepts: Returns whether this machine meets the run's requirements; otherwise the next run is tried.
        anywhere: This machine reads checkpoints from the store, so runs with files elsewhere can be claimed
            if their checkpoints are in the store.

    Raises:
        WrongStateError: `beside` with a device other than the CPU.
    """
    if beside and device != CPU:
        raise WrongStateError(f"Only on the CPU does a run train beside another, not on {device}.")
    this_host = host or socket.gethostname()
    with database.write() as session:
        database.lock_writers(session)
        held_here = select(RunRow.device).where(
            RunRow.host == this_host, RunRow.status.in_(sorted(ACTIVE)), TRAINED
        )
        in_use = {name for device_list in session.scalars(held_here) for name in split(device_list)}
        if in_use.intersection(split(device)) and not beside:
            return None
        waiting = _waiting(this_host, anywhere).where(RunRow.device_class.in_(classes or classes_of(device)))
        if only is not None:
            waiting = waiting.where(RunRow.id == only)
        elif is_frozen(session):
            return None

        def acceptable(row: RunRow) -> bool:
            needs, at_home = row.needs or {}, row.host == this_host
            candidate = Candidate(row.id, row.key, row.dataset, row.recipe, needs, at_home)
            return accepts is None or accepts(candidate)

        run = next_run(session, waiting, None if accepts is None else acceptable)
        if run is None:
            return None
        run.device = device
        if device in in_use:  # A unique name, since the database allows one run per device.
            run.device = next(name for i in count(1) if (name := f"{CPU}:{i}") not in in_use)
        run.attempt += 1
        run.host, run.began, run.ended = this_host, None, None
        run.error = run.last_lines = run.worker = None
        run.heartbeat = time.time()
        set_status(session, run, Status.STARTING)
        return Lease(run.id, run.attempt)


@dataclass(frozen=True)
class Candidate:
    """A queued run, as passed to a machine's `accepts`."""

    id: int
    key: str
    dataset: str
    recipe: Mapping[str, Any]
    needs: Mapping[str, Any]
    here: bool
    """Whether its files are on this machine."""


def _waiting(host: str, anywhere: bool = False) -> Select[Any]:
    """Return a query of the queued runs that this machine may claim."""
    mine = or_(RunRow.host.is_(None), RunRow.host == host)
    if anywhere:
        only_there = select(CheckpointRow.run_id).where(
            CheckpointRow.run_id == RunRow.id, CheckpointRow.stored.is_(None)
        )
        mine = or_(mine, ~only_there.exists())
    return select(RunRow).where(RunRow.status == Status.QUEUED, TRAINED, RunRow.deleted_at.is_(None), mine)


def set_waiting_process(
    database: Database, run_id: int, pid: int | None, process_started: float | None = None
) -> None:
    """Store the process that waits for a queued run's turn to train it itself, or clear it with None.

    Does nothing if the run is no longer queued.
    """
    with database.write() as session:
        run = lock_run(session, run_id)
        if run.status == Status.QUEUED:
            run.worker = None if pid is None else process_handle(pid, process_started)


def waiting_classes(database: Database, host: str | None = None, anywhere: bool = False) -> dict[str, float]:
    """Return `{device class: time of its oldest queued run}` of the runs that this machine may claim.

    Empty if the queue is frozen.

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
