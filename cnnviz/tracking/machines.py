"""Which machines are there to train runs, and what devices they have: each supervisor says so."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from cnnviz.device_class import MOST_RANKS, choose, describe, is_gpu, ranks
from cnnviz.tracking.database import Database
from cnnviz.tracking.tables import MachineRow

BEAT_SECONDS = 10.0
"""Between two signs of life of a machine."""
GONE_SECONDS = 60.0
"""A machine, or a run's worker elsewhere, that was not heard of for this long is taken to be gone."""
FORGOTTEN_SECONDS = 86_400.0
ALLOWS_CODE = "allow_code"
CODE = "code"
STORE = "store"
DATA = "data"
"""Of what a run needs: where its data can be had; `host` is the one machine where they lie unless stored."""
TOGETHER = "together"
"""How many GPUs one run can have at most: a cluster's run has those of one node."""


@dataclass(frozen=True)
class Machine:
    """A machine, or a cluster, with a supervisor at work."""

    key: str
    host: str
    launcher: str
    devices: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Digests of the users' code that it was started with, whether it takes any, whether it has a store, how
    many GPUs one run can have."""
    began: float = 0.0
    seen: float = 0.0

    @property
    def text(self) -> str:
        """Its name and devices."""
        return f"{self.host}: {describe(self.devices)}"

    def serves(self, device_class: str) -> bool:
        """Whether it has the devices that a class asks for, free or not."""
        together = self.facts.get(TOGETHER) or MOST_RANKS
        return choose(device_class, self.devices) is not None and fits(device_class, together)

    def runs_code(self, digest: str | None) -> bool:
        """Whether it runs users' code of this digest: it was started with the same, or takes any."""
        if not digest:
            return True
        return bool(self.facts.get(ALLOWS_CODE)) or digest in (self.facts.get(CODE) or ())


def fits(device_class: str, together: int) -> bool:
    """Whether a class asks for no more GPUs than one run can have."""
    return not is_gpu(device_class) or ranks(device_class) <= together


def new_key() -> str:
    """A key for a machine's row."""
    return secrets.token_hex(6)


def announce(database: Database, machine: Machine) -> None:
    """Say that a machine is there, with what it has; forget machines that have long been gone."""
    now = time.time()
    row = MachineRow(
        key=machine.key, host=machine.host, launcher=machine.launcher, devices=list(machine.devices),
        facts=dict(machine.facts), began=machine.began or now, seen=now,
    )  # fmt: skip
    with database.write() as session:
        session.merge(row)
        session.execute(delete(MachineRow).where(MachineRow.seen < now - FORGOTTEN_SECONDS))


def leave(database: Database, key: str) -> None:
    """Say that a machine is there no longer."""
    with database.write() as session:
        session.execute(delete(MachineRow).where(MachineRow.key == key))


def machines(database: Database, within: float = GONE_SECONDS) -> list[Machine]:
    """The machines that were heard of within so many seconds, by name."""
    query = select(MachineRow).where(MachineRow.seen > time.time() - within).order_by(MachineRow.host)
    with database.read() as session:
        return [
            Machine(row.key, row.host, row.launcher, tuple(row.devices), dict(row.facts), row.began, row.seen)
            for row in session.scalars(query)
        ]


def machine_devices(found: Iterable[Machine]) -> frozenset[str]:
    """Every device that some machine has."""
    return frozenset(device for machine in found for device in machine.devices)


def why_it_waits(
    found: Collection[Machine],
    device_class: str,
    code: str | None = None,
    needs: Mapping[str, Any] | None = None,
    host: str | None = None,
) -> str | None:
    """A sentence on why no machine that is there can take a run; None where one can, or none is there.

    Args:
        found: The machines that are there.
        device_class: What the run asks for.
        code: The digest of its code, where it has some.
        needs: Of its row: where its data can be had.
        host: The machine that has its checkpoints, where it has trained before.
    """
    if not found:
        return None
    able = [machine for machine in found if machine.serves(device_class)]
    there = "; ".join(machine.text for machine in found)
    if not able:
        return (
            f"No machine that is there has what it asks for ({device_class}), so it waits. "
            f"There are: {there}."
        )
    if not any(machine.runs_code(code) for machine in able):
        return (
            "It has code of its own, and no machine that is there was started with the same file or with "
            "--allow-code, so it waits."
        )
    hosts = {machine.host for machine in found}
    data = (needs or {}).get(DATA) or {}
    origin = None if data.get("stored") else data.get("host")
    if origin is not None and origin not in hosts:
        return f"Its data lie on {origin} alone, and no machine of that name is at work, so it waits."
    if host is not None and host not in hosts and not any(machine.facts.get(STORE) for machine in able):
        return f"Its checkpoint lies on {host} alone, and no machine of that name is at work, so it waits."
    return None
