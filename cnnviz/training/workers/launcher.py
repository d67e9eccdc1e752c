"""Launchers: the interface between the supervisor and the places where workers run, and this machine as one.

Local workers are processes, each with a parent process, in their own session. Ctrl-C in the app's terminal
goes to the app's session and does not reach them. One worker waits idle with its imports done, for the
lifetime of the app: its parent's stdin is closed when the app ends, however it ends. A worker that has
finished a run waits for the next; a second one is started only for a run on another device.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import cnnviz
from cnnviz import tracking
from cnnviz.device_class import MAX_RANKS, split
from cnnviz.tracking import Lease, RunSummary, Status, commands
from cnnviz.tracking.records import process_handle
from cnnviz.training.workers import parent_process, process_id

NO_ROOM, NO_DATABASE, LOST_RANK = 74, 75, 76
"""Exit codes, not the run's fault: database full, database unavailable, a rank on another node lost."""
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
    rank: int = 0
    """Index of the rank that the worker is, if the run's ranks are on several nodes."""
    world: int = 1
    """Number of workers that train the run together; 1 if a single one trains it, or starts all its ranks."""
    node: str = ""
    """Address of the worker's node for the other ranks."""

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

    def ranks_per_slot(self) -> int:
        """Return the number of a run's ranks that one CPU slot has room for."""

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


PROCESS = (sys.executable, "-m", "cnnviz.training.workers.process")
POSIX = os.name == "posix"
START_SECONDS = 30.0
"""Maximum time in which the parent process reports the worker's PID."""
LONGEST_PAUSE = 300.0
"""Maximum seconds between attempts to start an idle worker after failures."""
STOP_SECONDS = 5.0

_released: list[LocalWorker] = []  # Kept, since Python warns when a running Popen is garbage-collected.

log = logging.getLogger(__name__)


class LocalWorker:
    """An idle or busy worker process on this machine. Raises `OSError` if it cannot be started."""

    def __init__(self, command: Sequence[str] = PROCESS) -> None:
        if not POSIX:
            raise OSError(
                "Training needs the sessions and signals of Linux, macOS or WSL2; native Windows has none."
            )
        self.devices: frozenset[str] = frozenset()
        self.failure: str | None = None
        self.device: str | None = None
        """Device of its run; None while it is idle."""
        self.pid = 0
        self._known = threading.Event()
        self._parent = subprocess.Popen(
            [sys.executable, "-I", "-S", parent_process.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
        )
        threading.Thread(target=self._listen, name="worker", daemon=True).start()
        self._known.wait(START_SECONDS)
        if not self.pid:
            self.dismiss()
            self.wait(0.0)
            raise OSError("No worker process could be started.")
        try:
            self.started = process_id.started(self.pid)
        except ProcessLookupError:
            self.started = 0.0  # It has already ended, as `ended` will report.

    @property
    def ended(self) -> bool:
        """Return whether the worker and its parent process have ended."""
        return self._parent.poll() is not None

    def handle(self, run: RunSummary) -> dict[str, Any]:
        """Return PID and start time of the process, and that a launcher started it."""
        return process_handle(self.pid, self.started) | {"launched": True}

    def send_order(self, order: Order, device: str) -> None:
        """Send it the run, which it finishes even if this process ends."""
        self.device = device
        assert self._parent.stdin is not None
        self._parent.stdin.write(order.write())
        self._parent.stdin.flush()

    def dismiss(self) -> None:
        """Stop it: at once if idle, else after its run."""
        if self._parent.stdin is not None and not self._parent.stdin.closed:
            with suppress(OSError):  # It ended without reading its order.
                self._parent.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end; kill the parent process after the timeout."""
        try:
            self._parent.wait(seconds)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()

    def _listen(self) -> None:
        assert self._parent.stdout is not None
        with self._parent.stdout as lines:
            for line in lines:
                self._handle_message(line)
        self._known.set()
        commands.notify()  # It has ended: wake the supervisor before its next poll.

    def _handle_message(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return  # Output of a library.
        if "pid" in message:
            self.pid = message["pid"]
            self._known.set()
        elif "devices" in message:
            self.devices = frozenset(message["devices"])
        elif "idle" in message:
            self.device = None
            commands.notify()
        elif "died" in message:
            self.failure = Ending(message["died"], message["last_lines"]).sentence


class LocalLauncher:
    """Launcher of workers on this machine.

    Args:
        command: Command of a worker process.
        may_warm: Returns whether an idle worker may be started now, which takes CPU time, though no run
            waits.
    """

    def __init__(self, command: Sequence[str] = PROCESS, may_warm: Callable[[], bool] = lambda: True) -> None:
        self._command, self._may_warm = command, may_warm
        self._spare: LocalWorker | None = None
        self._busy: list[LocalWorker] = []
        self._devices = frozenset(("cpu",))
        self._surveyed = False  # Until a worker has reported its devices, there may be a GPU.
        self._not_before = 0.0
        self._pause = 1.0

    is_remote = False

    def host(self) -> str:
        """Return this machine's host name."""
        return socket.gethostname()

    def ranks_per_slot(self) -> int:
        """Return the limit: the machine's only slot has room for all ranks of a run."""
        return MAX_RANKS

    def devices(self) -> frozenset[str]:
        """Return the reported devices, except those that one of our workers still holds."""
        self._settle()
        return self._devices - self._held()

    def all_devices(self) -> frozenset[str]:
        """Return the devices reported by a worker; the CPU until then."""
        return self._devices

    def worker(self) -> LocalWorker:
        """Return the idle worker, or start one; raise `OSError` if that fails."""
        self._settle()
        if self._spare is None:
            self._spare = LocalWorker(self._command)
        return self._spare

    def is_alive(self, run: RunSummary) -> bool:
        """Return whether there is a process with this PID and start time."""
        if run.worker_pid is None or run.worker_started is None:
            return False
        return process_id.is_alive(run.worker_pid, run.worker_started)

    def ending(self, run: RunSummary) -> Ending | None:
        """Return the exit of this attempt, as written by the parent process."""
        try:
            content = json.loads(_exit_file(run).read_bytes())
        except (OSError, ValueError):
            return None
        return Ending(content["code"], content["last_lines"]) if content["attempt"] == run.attempt else None

    def forget(self, run: RunSummary) -> None:
        """Delete the file written by the parent process."""
        _exit_file(run).unlink(missing_ok=True)

    def kill(self, run: RunSummary) -> None:
        """Kill the process with this PID and start time."""
        if run.worker_pid is not None and run.worker_started is not None:
            process_id.kill(run.worker_pid, run.worker_started)

    def maintain(self, waiting_devices: frozenset[str]) -> None:
        """Reap ended workers, update the known devices, and keep an idle worker unless one trains."""
        self._settle()
        waiting_devices = waiting_devices - self._held()
        soon = bool(waiting_devices & self._devices if self._surveyed else waiting_devices)
        if self._spare is not None:
            self._devices |= self._spare.devices
            self._surveyed = self._surveyed or bool(self._spare.devices)
        elif time.monotonic() >= self._not_before and (soon or (not self._busy and self._may_warm())):
            self._spare = LocalWorker(self._command)

    def close(self) -> None:
        """Stop the idle worker; busy ones continue with their parent processes."""
        self._settle()
        if self._spare is not None:
            self._spare.dismiss()
            self._spare.wait(STOP_SECONDS)
        for worker in self._busy:
            worker.dismiss()
        _released.extend(self._busy)
        self._spare, self._busy = None, []

    def _held(self) -> frozenset[str]:
        """Return devices of our workers that have a run, or have not reported its end yet."""
        return frozenset(name for worker in self._busy for name in split(worker.device or ""))

    def _settle(self) -> None:
        """Update the idle and busy workers from their processes."""
        if self._spare is not None and self._spare.device is not None:
            self._busy.append(self._spare)
            self._spare, self._pause = None, 1.0
        candidates, self._busy = self._busy, []
        for worker in candidates:
            if worker.ended:
                worker.dismiss()
            elif worker.device is not None:
                self._busy.append(worker)
            elif self._spare is None:
                self._spare = worker
            else:  # One idle worker is enough.
                worker.dismiss()
                _released.append(worker)
        spare = self._spare
        if spare is not None and spare.ended:
            log.warning("A worker ended before it had a run. %s", spare.failure or "")
            spare.dismiss()
            self._spare, self._not_before = None, time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _exit_file(run: RunSummary) -> Path:
    return tracking.run_folder(run.id, run.key) / parent_process.EXIT_FILE


def environment() -> dict[str, str]:
    """Return this process's environment, with this copy of cnnviz on PYTHONPATH."""
    root = str(Path(cnnviz.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
