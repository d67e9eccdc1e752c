"""Registry of machines that train runs: each supervisor reports its devices and a heartbeat."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from cnnviz.device_class import MAX_RANKS, choose, describe, is_gpu, ranks
from cnnviz.tracking.database import Database
from cnnviz.tracking.tables import MachineRow

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
TOGETHER = "together"
"""Key of the maximum number of GPUs of one run: in a cluster, the GPUs of one node."""


@dataclass(frozen=True)
class Machine:
    """A machine, or a cluster, with a running supervisor."""

    key: str
    host: str
    launcher: str
    devices: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Digests of its users' code, whether it accepts any code or has a store, maximum GPUs of one run."""
    began: float = 0.0
    seen: float = 0.0

    @property
    def text(self) -> str:
        """Host name and devices."""
        return f"{self.host}: {describe(self.devices)}"

    def serves(self, device_class: str) -> bool:
        """Return whether it has the devices that a class requests, free or not."""
        together = self.facts.get(TOGETHER) or MAX_RANKS
        return choose(device_class, self.devices) is not None and fits(device_class, together)

    def runs_code(self, digest: str | None) -> bool:
        """Return whether it runs users' code of this digest: started with the same code, or accepts any."""
        if not digest:
            return True
        return bool(self.facts.get(ALLOWS_CODE)) or digest in (self.facts.get(CODE) or ())


def fits(device_class: str, together: int) -> bool:
    """Return whether a class requests no more GPUs than one run can have."""
    return not is_gpu(device_class) or ranks(device_class) <= together


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
