"""Interfaces between the supervisor and the places where workers run: this machine, or a cluster."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from cnnviz.tracking import Lease, RunSummary, Status

NO_ROOM, NO_DATABASE = 74, 75
"""Exit codes of a worker whose run database was full or unavailable: not the run's fault."""
# By name: native Windows, where workers are not supported, lacks some of them.
_SENT = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
_MEMORY = " The system does that when memory runs out."


@dataclass(frozen=True)
class Order:
    """Job of a worker: run, attempt, database, and folder."""

    run_id: int
    attempt: int
    address: str = ""
    """Address of the database with its password: sent through a pipe, never on a command line or to another

    machine. Empty if the worker's environment names the database.
    """
    folder: str = ""
    """The run's folder, for the worker's parent process."""
    devices: str = ""
    """Names of the run's devices in the worker, if they differ from the database's."""

    @property
    def lease(self) -> Lease:
        """Lease of the run."""
        return Lease(self.run_id, self.attempt)

    def write(self) -> bytes:
        """Serialize the order as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Parse a line written by `write`."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Ending:
    """Exit of a worker process: exit code, or minus the signal's number; and the last lines of its output."""

    code: int
    last_lines: str

    @property
    def status(self) -> Status:
        """Resulting status of the run: interrupted by a signal, or failed by itself."""
        if self.code == NO_ROOM:
            return Status.PAUSED
        sent = self.code < 0 and -self.code in _SENT
        return Status.INTERRUPTED if sent or self.code == NO_DATABASE else Status.FAILED

    @property
    def lost_database(self) -> bool:
        """Return whether the worker gave up because the run database was unavailable: the run can go on."""
        return self.code == NO_DATABASE

    @property
    def sentence(self) -> str:
        """Message for users."""
        if self.code < 0:
            hint = _MEMORY if _name(-self.code) == "SIGKILL" else ""
            return f"Its worker was ended by {_name(-self.code)}.{hint}"
        last = next((line.strip() for line in reversed(self.last_lines.splitlines()) if line.strip()), "")
        if self.code in (NO_ROOM, NO_DATABASE) and last:
            return last
        return f"Its worker ended with exit code {self.code}" + (f": {last}" if last else ".")


class Worker(Protocol):
    """A process that waits for runs to train."""

    def handle(self, run: RunSummary) -> dict[str, Any]:
        """Return the worker's handle for the run's row, before it gets the run."""

    def send_order(self, order: Order, device: str) -> None:
        """Send it the run; raise `OSError` if the process has ended."""


class Launcher(Protocol):
    """Starts workers and monitors them."""

    @property
    def is_remote(self) -> bool:
        """Whether workers run on machines that can be lost one by one, so that runs resume on others."""

    def host(self) -> str:
        """Return the name of the machine, or of the cluster."""

    def max_gpus_per_run(self) -> int:
        """Return the maximum number of GPUs of one run."""

    def devices(self) -> frozenset[str]:
        """Return the devices on which a worker could start now."""

    def all_devices(self) -> frozenset[str]:
        """Return all known devices, including those in use."""

    def worker(self) -> Worker:
        """Return an idle worker, the same one until it gets a run; raise `OSError`."""

    def is_alive(self, run: RunSummary) -> bool:
        """Return whether the process of this run, whoever started it, is alive."""

    def ending(self, run: RunSummary) -> Ending | None:
        """Return how that process ended, once it is known."""

    def forget(self, run: RunSummary) -> None:
        """Clean up after the run's end was recorded."""

    def kill(self, run: RunSummary) -> None:
        """Kill that process, if it is alive."""

    def maintain(self, waiting_devices: frozenset[str]) -> None:
        """Clean up ended workers and prepare an idle one, at once if runs wait; called periodically.

        `waiting_devices` are the devices that queued runs wait for and no run holds, and classes that no
        known device serves.
        """

    def close(self) -> None:
        """Stop idle workers; those with a run continue."""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
