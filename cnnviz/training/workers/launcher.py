"""What a supervisor needs of wherever workers run: this machine, or a cluster."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from cnnviz.tracking import Lease, RunSummary, Status

NO_ROOM, NO_DATABASE = 74, 75
"""A worker's exit codes where the run database was full, or could not be used: the run is not at fault."""
# By name: native Windows, where no worker lives, has two of them only.
_SENT = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
_MEMORY = " The system does that when memory runs out."


@dataclass(frozen=True)
class Order:
    """What a worker has to know: which run, in which database, and where its files go."""

    run_id: int
    attempt: int
    address: str = ""
    """The database's, with its password: it goes through a pipe, never into a command line or to another
    machine. Empty where the worker's own environment names the database."""
    folder: str = ""
    """The run's, for the worker's parent."""
    devices: str = ""
    """What the worker calls the run's devices, where that is not what the database calls them."""

    @property
    def lease(self) -> Lease:
        """The right to work on the run."""
        return Lease(self.run_id, self.attempt)

    def write(self) -> bytes:
        """The order as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """The order that a line holds."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Ending:
    """How a worker's process ended: its exit code, or minus the number of the signal; its last lines."""

    code: int
    last_lines: str

    @property
    def status(self) -> Status:
        """What became of the run: somebody ended it, or it failed by itself."""
        if self.code == NO_ROOM:
            return Status.PAUSED
        sent = self.code < 0 and -self.code in _SENT
        return Status.INTERRUPTED if sent or self.code == NO_DATABASE else Status.FAILED

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        if self.code < 0:
            hint = _MEMORY if _name(-self.code) == "SIGKILL" else ""
            return f"Its worker was ended by {_name(-self.code)}.{hint}"
        last = next((line.strip() for line in reversed(self.last_lines.splitlines()) if line.strip()), "")
        if self.code in (NO_ROOM, NO_DATABASE) and last:
            return last
        return f"Its worker ended with exit code {self.code}" + (f": {last}" if last else ".")


class Worker(Protocol):
    """Who waits for runs to train, one after another."""

    def handle(self, run: RunSummary) -> dict[str, Any]:
        """What the run's row says of who works on it, before it does."""

    def hand_over(self, order: Order, device: str) -> None:
        """Give it the run. Raises `OSError` where it is gone."""


class Launcher(Protocol):
    """Makes workers and knows what becomes of them."""

    @property
    def elsewhere(self) -> bool:
        """Whether workers live on machines that may go while others stay, so that a run goes on there."""

    def host(self) -> str:
        """The name of the machine, or of the cluster, that has the runs' devices."""

    def together(self) -> int:
        """How many GPUs one run can have at most."""

    def devices(self) -> frozenset[str]:
        """Devices on which a worker could begin now, as runs name them."""

    def every_device(self) -> frozenset[str]:
        """All devices there are, those of runs too, as far as they are known."""

    def worker(self) -> Worker:
        """A worker that waits for work, the same one until it has got some. Raises `OSError`."""

    def lives(self, run: RunSummary) -> bool:
        """Whether the process that has this run, whoever started it, is still there."""

    def ending(self, run: RunSummary) -> Ending | None:
        """How that process ended, once it is known."""

    def forget(self, run: RunSummary) -> None:
        """Its ending has been recorded: clear away what is left of it."""

    def kill(self, run: RunSummary) -> None:
        """End that process, if it is there."""

    def tend(self, wanted: frozenset[str]) -> None:
        """Called now and then: clear away what has ended and have a worker ready; soon, if runs wait.

        `wanted` are the devices that runs wait for and no run holds, and classes that no known device serves.
        """

    def close(self) -> None:
        """End workers without work; those with a run go on."""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
