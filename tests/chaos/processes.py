"""Chaos with real processes: workers, nodes, the app and the database are killed at random under small runs.

    python -m tests.chaos.processes --seconds 1800 --runs 50

Three nodes with folders and host names of their own share a PostgreSQL server and a store: one is the app,
two are `cnnviz work`. Whatever is killed is started again, a node or the database sometimes only after a
while, so that its runs go on elsewhere; what a signal has interrupted is resumed, as a person would. Each run
must end once, with the bits of its twin, which was trained in one go before anything failed. Checkpoints are
written often, so that there is something to go on from.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Status
from cnnviz.tracking.database import URL_VARIABLE
from cnnviz.tracking.run_files import ensure_local
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.tracking.store import open_store
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from tests.browser.people import free_port
from tests.chaos.node import ROOT
from tests.tracking.postgres import PostgresServer, binaries
from tests.training.workers.making import until
from tests.training.workers.test_soak import at_one_go, contents, rows

RECIPE = Recipe(dataset="digits", limit=640, epochs=12, batch_size=16, device="cpu", pad_crop=2, lr=0.02)
HOME = "CNNVIZ_HOME"
NODES = {"node-1": "app", "node-2": "work", "node-3": "work"}
KINDS = ("database", "node", "worker", "worker", "app", "parent", "supervisor", "backend", "pause")
SHORT_KINDS = ("database", "node", "worker", "app")
DATABASE_SECONDS = 5.0
"""How long the database is away, at most."""
END_SECONDS = 1_800.0
"""How long the runs may take once nothing fails any more."""


@dataclass
class Node:
    """A machine of the simulated cluster: a supervisor, and all processes with its folder."""

    name: str
    kind: str
    home: Path
    process: subprocess.Popen[bytes] | None = None
    back: float = 0.0
    """When it is started again, by the monotonic clock."""

    def keep_up(self) -> None:
        """Start its supervisor if that is gone."""
        if time.monotonic() < self.back or (self.process is not None and self.process.poll() is None):
            return
        command = [sys.executable, "-m", "tests.chaos.node", self.name, self.kind]
        if self.kind == "app":
            command.append(str(free_port()))
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {HOME: str(self.home), "CNNVIZ_LEAN": "1"},
                start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """Its supervisor, and its workers with their parents, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(HOME) == str(self.home):
                    found.append(process)
        return found

    def kill(self) -> None:
        """Kill every process on it, as a power failure does."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait()


@dataclass
class Cluster:
    """Three nodes and a database, and what happens to them."""

    folder: Path
    server: PostgresServer
    database: Database
    dice: random.Random
    kinds: tuple[str, ...]
    longest_away: float
    """Seconds for which a node is away, at most; after 60 its runs go on elsewhere."""
    failures: dict[str, int] = field(default_factory=dict)
    resumed: int = 0

    def __post_init__(self) -> None:
        self.nodes = [Node(name, kind, self.folder / name) for name, kind in NODES.items()]
        self._next: list[str] = []

    def keep_up(self) -> None:
        """Start what is gone, and resume what somebody's signal interrupted."""
        for node in self.nodes:
            node.keep_up()
        for run in tracking.list_runs(self.database, metrics=[]):
            assert run.status is not Status.FAILED, f"run {run.id} failed: {run.error}"
            if run.status in (Status.INTERRUPTED, Status.PAUSED):
                with suppress(tracking.WrongStateError):
                    tracking.request(self.database, run.id, Command.RESUME)
                    self.resumed += 1

    def fail(self) -> None:
        """One failure, if there is anything that can fail; each kind comes once before any comes again."""
        if not self._next:
            in_order = not self.failures
            self._next = (
                [*reversed(self.kinds)] if in_order else self.dice.sample(self.kinds, len(self.kinds))
            )
        kind = self._next[-1]
        acts: dict[str, Callable[[], bool]] = {
            "worker": self._kill_worker, "parent": self._kill_parent, "supervisor": self._kill_supervisor,
            "app": self._kill_app, "node": self._kill_node, "database": self._kill_database,
            "backend": self._kill_backend, "pause": self._pause,
        }  # fmt: skip
        if acts[kind]():
            self._next.pop()
            self.failures[kind] = self.failures.get(kind, 0) + 1

    def close(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.kill()

    def _busy(self) -> list[tracking.RunSummary]:
        return tracking.list_runs(self.database, statuses=[Status.RUNNING], metrics=[])

    def _workers(self) -> list[int]:
        return [run.worker_pid for run in self._busy() if run.worker_pid is not None]

    def _kill_worker(self) -> bool:
        return self._kill(self._workers())

    def _kill_parent(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return self._kill([psutil.Process(pid).ppid() for pid in self._workers()])
        return False

    def _kill_supervisor(self) -> bool:
        return self._kill(self._supervisors("work"))

    def _kill_app(self) -> bool:
        return self._kill(self._supervisors("app"))

    def _supervisors(self, kind: str) -> list[int]:
        there = [node.process for node in self.nodes if node.kind == kind and node.process is not None]
        return [process.pid for process in there if process.poll() is None]

    def _kill(self, pids: list[int]) -> bool:
        pids = [pid for pid in pids if pid > 1]
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.dice.choice(pids), self.dice.choice((signal.SIGKILL, signal.SIGTERM)))
        return True

    def _kill_node(self) -> bool:
        busy = {run.host for run in self._busy()}
        there = [node for node in self.nodes if node.name in busy]
        if not there:
            return False
        node = self.dice.choice(there)
        node.kill()
        node.back = time.monotonic() + self.dice.uniform(0.0, self.longest_away)
        return True

    def _kill_database(self) -> bool:
        if not self._busy():
            return False
        self.server.kill(self.dice.choice((signal.SIGKILL, signal.SIGQUIT, signal.SIGINT)))
        threading.Event().wait(self.dice.uniform(0.0, DATABASE_SECONDS))
        self.server.start()
        return True

    def _kill_backend(self) -> bool:
        """Kill one of the server's processes: it ends all others, and recovers."""
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(self.dice.choice(self.server.backends()), signal.SIGKILL)
            self.server.start()
        return True

    def _pause(self) -> bool:
        running = self._busy()
        for run in running[:1]:
            with suppress(tracking.WrongStateError):
                tracking.request(self.database, run.id, Command.PAUSE)
        return bool(running)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of this process's environment within the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Outcome:
    """What happened in a round: failures of each kind, attempts, and how often runs went on."""

    failures: dict[str, int]
    attempts: int
    by_themselves: int
    """How often a run was queued again without anybody's doing."""
    by_hand: int
    """How often somebody resumed a run that a signal had interrupted, or that was paused."""


def chaos(
    runs: int,
    seed: int,
    seconds: float,
    kinds: tuple[str, ...] = KINDS,
    failures: int | None = None,
    longest_away: float = 120.0,
    longest_pause: float = 4.0,
) -> Outcome:
    """Train so many runs while things fail for so long, or until so many did; check that all are as twins.

    Args:
        runs: Number of runs.
        seed: Of what fails when.
        seconds: How long things fail.
        kinds: What fails: first in this order, then in any.
        failures: Maximum number of failures.
        longest_away: Maximum seconds for which a node is away.
        longest_pause: Maximum seconds between two failures.

    Raises:
        AssertionError: A run was lost, ended twice, or differs from its twin.
        RuntimeError: There are no programs of a PostgreSQL server.
    """
    programs = binaries()
    if programs is None:
        raise RuntimeError("needs the programs of a PostgreSQL server (Debian: apt-get install postgresql)")
    dice = random.Random(seed)
    server = PostgresServer(programs)
    try:
        with tempfile.TemporaryDirectory(prefix="cnnviz-chaos-") as name:
            folder = Path(name)
            values = {
                HOME: str(folder / "here"), STORE_VARIABLE: str(folder / "store"), "OMP_NUM_THREADS": "1",
                URL_VARIABLE: server.address,
            }  # fmt: skip
            with environment(values), tracking.connect() as database:
                recipes = [RECIPE.changed({"seed": number}) for number in range(runs)]
                twins = [at_one_go(database, recipe) for recipe in recipes]
                numbers = [enqueue(database, recipe).id for recipe in recipes]
                cluster = Cluster(folder, server, database, dice, kinds, longest_away)
                _disturb(cluster, numbers, seconds, failures, longest_pause)
                _compare(database, numbers, twins)
                return _outcome(cluster, numbers)
    finally:
        server.close()


def _disturb(
    cluster: Cluster, numbers: list[int], seconds: float, failures: int | None, longest_pause: float
) -> None:
    """Let things fail until it is enough, and wait for the end of all runs."""
    ends, pause = time.monotonic() + seconds, threading.Event()

    def finished() -> bool:
        with suppress(tracking.DatabaseUnavailableError):  # It recovers.
            cluster.keep_up()
            found = tracking.list_runs(cluster.database, statuses=[Status.FINISHED], ids=numbers, metrics=[])
            return len(found) == len(numbers)
        return False

    try:
        while time.monotonic() < ends and not finished():
            pause.wait(cluster.dice.uniform(0.0, longest_pause))
            if failures is not None and sum(cluster.failures.values()) >= failures:
                break
            with suppress(tracking.DatabaseUnavailableError):
                cluster.fail()
        until(finished, "every run has ended", END_SECONDS)
    finally:
        cluster.close()


def _compare(database: Database, numbers: list[int], twins: list[int]) -> None:
    assert len(tracking.list_runs(database, metrics=[])) == len(numbers) + len(twins), "a run was doubled"
    for number, whole in zip(numbers, twins, strict=True):
        assert rows(database, number) == rows(database, whole), f"run {number} is not its twin"
        assert checkpoints(database, number) == checkpoints(database, whole), f"run {number}: checkpoint"
        changes = [change.new for change in tracking.history(database, number)]
        assert changes.count(Status.FINISHED) == 1, f"run {number} ended twice"


def checkpoints(database: Database, number: int) -> dict[str, tuple[dict[str, str], dict[str, bytes]]]:
    """What the store has of a run: by kind, the file's metadata, and each tensor's bytes."""
    store, run = open_store(), tracking.get_run(database, number)
    assert store is not None
    known = tracking.checkpoints(database, number)
    return {kind: contents(ensure_local(store, run, each)) for kind, each in known.items()}


def _outcome(cluster: Cluster, numbers: list[int]) -> Outcome:
    attempts = by_themselves = 0
    for number in numbers:
        attempts += tracking.get_run(cluster.database, number).attempt
        changes = tracking.history(cluster.database, number)
        by_themselves += sum(each.new is Status.QUEUED and each.reason is not None for each in changes)
    return Outcome(cluster.failures, attempts, by_themselves, cluster.resumed)


def main() -> None:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1_800.0)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends, seed = time.monotonic() + given.seconds, given.seed
    while seed == given.seed or time.monotonic() < ends:
        found = chaos(given.runs, seed, max(0.0, ends - time.monotonic()))
        print(
            f"round with seed {seed}: {given.runs} runs as their twins, {found.attempts} attempts, "
            f"{found.by_themselves} times on by itself, {found.by_hand} times resumed; {found.failures}",
            flush=True,
        )
        seed += 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
