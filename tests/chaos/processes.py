"""Chaos with real processes: workers, nodes, the app and the database are killed at random under small runs.

    python -m tests.chaos.processes --seconds 3600 --runs 50

Three nodes with folders and host names of their own share a PostgreSQL server and a store: one is the app,
two are `cnnviz work`. Whatever is killed is started again, a node or the database sometimes only after a
while, so that its runs go on elsewhere; what a signal has interrupted is resumed, as a person would. Each run
must end once, with the bits of its twin, which a process of its own trains in one go. Checkpoints are written
often, so that there is something to go on from. Where all runs have ended before the time is over,
another round begins with the next seed.
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
from cnnviz.training.queue import enqueue
from tests.browser.people import free_port
from tests.chaos.node import ROOT
from tests.chaos.twins import recipes
from tests.tracking.postgres import PostgresServer, binaries
from tests.training.workers.making import until
from tests.training.workers.test_soak import contents, records, rows

HOME = "CNNVIZ_HOME"
NODES = {"node-1": "app", "node-2": "work", "node-3": "work"}
KINDS = ("database", "node", "worker", "worker", "app", "parent", "supervisor", "backend", "pause")
SHORT_KINDS = ("database", "node", "worker", "app")
DATABASE_SECONDS = 5.0
"""How long the database is away, at most."""
END_SECONDS = 1_800.0
"""How long the runs may take once nothing fails any more."""
BETWEEN = 400
"""Training steps of all runs between two failures, at most: a run has 480, and three train at once."""
PATIENCE_SECONDS = 60.0
"""How long to wait for these steps before something fails all the same."""
REPORT_SECONDS = 60.0
LOG_CHARACTERS = 4_000
"""How much of each node's log is printed where the chaos found a fault."""
Say = Callable[[str], None]


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
    between: int = 0
    """Training steps of all runs between two failures, at most."""
    failures: dict[str, int] = field(default_factory=dict)
    resumed: int = 0

    def __post_init__(self) -> None:
        self.nodes = [Node(name, kind, self.folder / name) for name, kind in NODES.items()]
        self._next: list[str] = []
        self._steps: dict[int, int] = {}
        self._trained = self._due = 0
        self._patience = 0.0

    def is_due(self) -> bool:
        """Whether the runs have trained on far enough since the last failure, or cannot.

        By steps and not by the clock, so that on a slow machine too it is trained between two failures, from
        checkpoints of earlier attempts. What was trained twice counts twice, as far as a look sees it.
        """
        seen = {run.id: run.step for run in tracking.list_runs(self.database, metrics=[])}
        self._trained += sum(max(0, step - self._steps.get(number, 0)) for number, step in seen.items())
        self._steps = seen
        return self._trained >= self._due or time.monotonic() > self._patience

    def _plan(self) -> None:
        """Say when the next failure is due."""
        self._due = self._trained + self.dice.randint(0, self.between)
        self._patience = time.monotonic() + PATIENCE_SECONDS

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
            self._plan()
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
    between: int = BETWEEN,
    longest_pause: float = 1.0,
    say: Say = lambda _: None,
) -> Outcome:
    """Train so many runs while things fail for so long, or until so many did; check that all are as twins.

    Args:
        runs: Number of runs.
        seed: Of what fails when.
        seconds: How long things fail.
        kinds: What fails: first in this order, then in any.
        failures: Maximum number of failures.
        longest_away: Maximum seconds for which a node is away.
        between: Maximum number of training steps between two failures.
        longest_pause: Maximum seconds between two looks whether something is to fail.
        say: Takes a line of progress every minute, and, where a fault was found, what is known of it.

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
                numbers = [enqueue(database, recipe).id for recipe in recipes(runs)]
                cluster = Cluster(folder, server, database, dice, kinds, longest_away, between)
                with twins(folder / "twins", runs) as trained:
                    try:
                        _disturb(cluster, numbers, seconds, failures, longest_pause, say)
                        assert trained.wait(END_SECONDS) == 0, "the twins failed"
                        _compare(database, numbers, folder / "twins")
                    except BaseException:
                        with suppress(tracking.DatabaseUnavailableError):
                            _report_fault(cluster, numbers, say)
                        raise
                return _outcome(cluster, numbers)
    finally:
        server.close()


def _disturb(
    cluster: Cluster,
    numbers: list[int],
    seconds: float,
    failures: int | None,
    longest_pause: float,
    say: Say,
) -> None:
    """Let things fail until it is enough, and wait for the end of all runs."""
    begun, pause = time.monotonic(), threading.Event()
    ends, reported = begun + seconds, begun

    def finished() -> bool:
        nonlocal reported
        with suppress(tracking.DatabaseUnavailableError):  # It recovers.
            cluster.keep_up()
            found = tracking.list_runs(cluster.database, statuses=[Status.FINISHED], ids=numbers, metrics=[])
            if time.monotonic() > reported + REPORT_SECONDS:
                reported = time.monotonic()
                say(f"minute {(reported - begun) / 60:.0f}: {len(found)} of {len(numbers)} runs have ended; "
                    f"{sum(cluster.failures.values())} failures: {cluster.failures}")  # fmt: skip
            return len(found) == len(numbers)
        return False

    try:
        while time.monotonic() < ends and not finished():
            if failures is not None and sum(cluster.failures.values()) >= failures:
                break
            with suppress(tracking.DatabaseUnavailableError):
                if cluster.is_due():
                    cluster.fail()
            pause.wait(cluster.dice.uniform(0.0, longest_pause))
        until(finished, "every run has ended", END_SECONDS)
    finally:
        cluster.close()


def _report_fault(cluster: Cluster, numbers: list[int], say: Say) -> None:
    """Tell what runs that have not ended went through, and the ends of the nodes' logs."""
    for number in numbers:
        run = tracking.get_run(cluster.database, number)
        if run.status is not Status.FINISHED:
            changes = tracking.history(cluster.database, number)
            told = "; ".join(f"{each.new} ({each.reason})" for each in changes)
            say(f"run {number} on {run.host}, step {run.step}, attempt {run.attempt}: {told}; {run.error}")
    for node in cluster.nodes:
        if (node.home / "log").exists():
            say(f"{node.name}: {(node.home / 'log').read_text(errors='replace')[-LOG_CHARACTERS:]}")


@contextmanager
def twins(home: Path, runs: int) -> Iterator[subprocess.Popen[bytes]]:
    """Train the runs' twins in a folder of their own, beside everything else."""
    command = [sys.executable, "-m", "tests.chaos.twins", str(runs)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {HOME: str(home)},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _compare(database: Database, numbers: list[int], home: Path) -> None:
    assert len(tracking.list_runs(database, metrics=[])) == len(numbers), "a run was doubled"
    with tracking.connect(f"sqlite:///{home}/runs.sqlite") as apart:
        for whole, number in enumerate(numbers, 1):
            with environment({HOME: str(home)}):
                expected = rows(apart, whole), records(apart, whole), checkpoints(apart, whole)
            assert rows(database, number) == expected[0], f"run {number} is not its twin"
            assert records(database, number) == expected[1], f"run {number}: records"
            assert checkpoints(database, number) == expected[2], f"run {number}: checkpoints"
            changes = [change.new for change in tracking.history(database, number)]
            assert changes.count(Status.FINISHED) == 1, f"run {number} ended twice"


def checkpoints(database: Database, number: int) -> dict[str, tuple[dict[str, str], dict[str, bytes]]]:
    """What is kept of a run, of a twin in its folder: by kind, the metadata, and each tensor's bytes."""
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


def _print(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> None:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends, seed = time.monotonic() + given.seconds, given.seed
    while seed == given.seed or time.monotonic() < ends:
        found = chaos(given.runs, seed, max(0.0, ends - time.monotonic()), say=_print)
        _print(
            f"round with seed {seed}: {given.runs} runs as their twins, {found.attempts} attempts, "
            f"{found.by_themselves} times on by itself, {found.by_hand} times resumed; "
            f"{sum(found.failures.values())} failures: {found.failures}"
        )
        seed += 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
