"""Chaos: three nodes train small runs while workers, nodes, the app and the database fail at random.

    python -m tests.chaos.simulation --seconds 3600 --runs 50

Nodes and workers are simulated in this process, so that thousands of failures fit into a minute: a worker is
a generator that stops between any two of its writes, and to kill it is never to go on with it. What they
write to is real: the run database, leases, the store, and the watch that finds what is gone. A run's
"training" is a chain of hashes, so that one bit that differs anywhere is seen at its end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from cnnviz import tracking
from cnnviz.tracking import Command, Database, DatabaseUnavailableError, Lease, RunSummary, Status
from cnnviz.tracking.metrics import Value, append
from cnnviz.tracking.queue import GONE_SECONDS
from cnnviz.tracking.run_files import delete_superseded, ensure_local, publish
from cnnviz.tracking.store import VARIABLE, Store, StoreError, open_store
from cnnviz.training.workers.launcher import Ending
from cnnviz.training.workers.supervisor import RunMonitor

STEPS, SAVE_EVERY = 12, 3
NODES = ("node-1", "node-2", "node-3")
KILLED = Ending(-9, "")


class BrokenDatabase(Database):
    """A database whose server fails now and then, before a commit or after one that nobody hears of."""

    chance = 0.0
    dice = random.Random()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Write, and fail as a server does that is restarted."""
        fails = self.dice.random() < self.chance
        heard = self.dice.random() < 0.5
        with super().write() as session:
            yield session
            if fails and not heard:
                raise DatabaseUnavailableError("The server is restarted.")
        if fails:
            raise DatabaseUnavailableError("The server is restarted.")


def state_after(seed: int, step: int, before: str) -> str:
    """What a run knows after a step."""
    return hashlib.sha256(f"{seed}/{step}/{before}".encode()).hexdigest()


def value_of(state: str) -> float:
    """The figure that is logged of a state."""
    return int(state[:12], 16) / 16**12


def twin(seed: int) -> list[float]:
    """What an undisturbed run of this seed logs."""
    state, found = "", []
    for step in range(1, STEPS + 1):
        state = state_after(seed, step, state)
        found.append(value_of(state))
    return found


@dataclass
class Node:
    """A machine: its folder, the workers on it, and whether it is there."""

    name: str
    home: Path
    alive: bool = True
    workers: dict[Lease, Iterator[None]] = field(default_factory=dict)
    endings: set[Lease] = field(default_factory=set)

    # The part of `Launcher` that `RunMonitor` uses.
    is_remote = False

    def is_alive(self, run: RunSummary) -> bool:
        """Whether its worker is there."""
        return run.lease in self.workers

    def ending(self, run: RunSummary) -> Ending | None:
        """How it ended."""
        return KILLED if run.lease in self.endings else None

    def forget(self, run: RunSummary) -> None:
        """Its ending is recorded."""
        self.endings.discard(run.lease)

    def kill(self, run: RunSummary) -> None:
        """End its worker."""
        if self.workers.pop(run.lease, None) is not None:
            self.endings.add(run.lease)


class Cluster:
    """Three nodes, a database and a store, and what goes wrong with them."""

    def __init__(self, folder: Path, seed: int, runs: int) -> None:
        self.dice = random.Random(seed)
        address = f"sqlite:///{folder}/runs.sqlite"
        tracking.connect(address).close()
        self.database = BrokenDatabase(tracking.database.address(address))
        self.database.dice = self.dice
        os.environ[VARIABLE] = str(folder / "store")
        store = open_store()
        assert store is not None
        self.store: Store = store
        self.nodes = [Node(name, folder / name) for name in NODES]
        self.ghosts: list[tuple[Node, Iterator[None]]] = []
        self.failures = 0
        self.runs = [
            tracking.create_run(self.database, {"seed": i}, model="m", dataset="digits", seed=i).id
            for i in range(runs)
        ]

    def train(self, node: Node, lease: Lease) -> Iterator[None]:
        """A worker, which may be cut off at every `yield`."""
        run = tracking.get_run(self.database, lease.run_id)
        step, state, known = 0, "", tracking.checkpoints(self.database, run.id).get("last")
        path = tracking.run_folder(run.id, run.key) / "last.safetensors"
        if known is not None:
            step, state = json.loads(ensure_local(self.store, run, known).read_bytes())
        yield
        tracking.begin(self.database, lease, step or tracking.FROM_SCRATCH, float(step))
        while step < STEPS:
            step += 1
            state = state_after(run.seed, step, state)
            yield
            value = Value("loss", step, float(step), value_of(state), time.time())
            append(self.database, lease, [value], position=(step, float(step)))
            if step % SAVE_EVERY == 0:
                yield
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps([step, state]))
                yield
                name, digest = publish(self.store, run, path, step)
                yield
                size = path.stat().st_size
                tracking.add_checkpoint(
                    self.database, lease, "last", path.name, step, float(step), size, digest, name
                )
                yield
                delete_superseded(self.store, run, "last", keep=name)
        yield
        tracking.end(self.database, lease, Status.FINISHED)

    def advance(self, node: Node, lease: Lease) -> None:
        """Go on with a worker to its next stop; an error of the database ends its process."""
        with self._on(node):
            try:
                next(node.workers[lease])
            except StopIteration:
                del node.workers[lease]
            except (tracking.TrackingError, StoreError):
                del node.workers[lease]
                node.endings.add(lease)

    def supervise(self, node: Node) -> None:
        """One look of the node's supervisor: what is gone is recorded, what waits is taken."""
        with self._on(node), suppress(tracking.TrackingError):
            watch = RunMonitor(self.database, node, node.name, store=True)  # type: ignore[arg-type]
            watch.look(tracking.list_runs(self.database, statuses=tracking.ACTIVE, metrics=[]))
            lease = tracking.claim(self.database, "cpu", node.name, anywhere=True)
            if lease is not None:
                node.workers[lease] = self.train(node, lease)
                tracking.attach(self.database, lease, 1, 1.0)

    def disturb(self) -> None:
        """Something goes wrong: a worker is killed, a node is gone or comes back, or a ghost wakes up."""
        node = self.dice.choice(self.nodes)
        kind = self.dice.choice(("worker", "worker", "node", "node", "ghost"))
        self.failures += 1
        if kind == "worker" and node.workers:
            lease = self.dice.choice(list(node.workers))
            del node.workers[lease]
            node.endings.add(lease)
        elif kind == "node" and node.alive and sum(each.alive for each in self.nodes) > 1:
            # Its workers hang, as behind a network that is cut, and may wake up when others have their runs.
            self.ghosts += [(node, worker) for worker in node.workers.values()]
            node.alive, node.workers, node.endings = False, {}, set()
            with Session(self.database._writes) as session, session.begin():
                session.execute(
                    text("UPDATE runs SET heartbeat = heartbeat - :s WHERE host = :host"),
                    {"s": GONE_SECONDS + 1, "host": node.name},
                )
        elif kind == "node":
            node.alive = True
        elif kind == "ghost" and self.ghosts:
            at, ghost = self.ghosts.pop(self.dice.randrange(len(self.ghosts)))
            with self._on(at), suppress(tracking.TrackingError, StopIteration):
                for _ in range(4):
                    next(ghost)

    def person(self) -> None:
        """Somebody resumes what was interrupted for good."""
        for run in tracking.list_runs(self.database, statuses=[Status.INTERRUPTED], metrics=[]):
            with suppress(tracking.TrackingError):
                tracking.request(self.database, run.id, Command.RESUME)

    def work(self, seconds: float | None, looks: int | None) -> None:
        """Train everything, with failures for so many seconds or looks, and without them afterwards."""
        until, done = time.monotonic() + (seconds or 0.0), 0
        while True:
            rough = time.monotonic() < until if looks is None else done < looks
            done += 1
            self.database.chance = 0.02 if rough else 0.0
            if rough and self.dice.random() < 0.1:
                self.disturb()
            for node in self.nodes:
                node.alive = node.alive or not rough
                if node.alive:
                    for lease in list(node.workers):
                        if self.dice.random() < 0.8:
                            self.advance(node, lease)
                    self.supervise(node)
            self.person()
            if not rough and not self._left():
                return

    def _left(self) -> int:
        ended = tracking.list_runs(self.database, statuses=[Status.FINISHED], metrics=[])
        return len(self.runs) - len(ended)

    def check(self) -> None:
        """None lost, none doubled, and every figure as the undisturbed twin's."""
        for run_id in self.runs:
            run = tracking.get_run(self.database, run_id)
            assert run.status is Status.FINISHED, f"run {run_id} is {run.status}"
            ends = [change.new for change in tracking.history(self.database, run_id)]
            assert ends.count(Status.FINISHED) == 1, f"run {run_id} ended twice"
            rows = tracking.read_metrics(self.database, run_id).rows
            assert [row.step for row in rows] == list(range(1, STEPS + 1)), f"run {run_id}: steps"
            assert [row.value for row in rows] == twin(run.seed), f"run {run_id} is not its twin"
            names = self.store.names(f"runs/{run.id:06}-{run.key}")
            last = tracking.checkpoints(self.database, run_id)["last"]
            assert last.stored in names, f"run {run_id} has lost its checkpoint"

    @contextmanager
    def _on(self, node: Node) -> Iterator[None]:
        os.environ["CNNVIZ_HOME"] = str(node.home)
        yield


def chaos(runs: int, seed: int, seconds: float | None = None, looks: int | None = None) -> tuple[int, int]:
    """Disturb so many runs for so long; returns how many failures there were and how many attempts."""
    kept = {name: os.environ.get(name) for name in (VARIABLE, "CNNVIZ_HOME")}
    try:
        with tempfile.TemporaryDirectory(prefix="cnnviz-chaos-") as folder:
            cluster = Cluster(Path(folder), seed, runs)
            cluster.work(seconds, looks)
            cluster.check()
            attempts = sum(tracking.get_run(cluster.database, run).attempt for run in cluster.runs)
            cluster.database.close()
            return cluster.failures, attempts
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main() -> None:
    """Rounds of so many runs until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--round", type=float, default=30.0, help="seconds of failures in each round")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends, number, failures, attempts = time.monotonic() + given.seconds, 0, 0, 0
    while number == 0 or time.monotonic() < ends:
        seed = given.seed + number
        print(f"round {number + 1}, seed {seed}", flush=True)
        found = chaos(given.runs, seed, min(given.round, given.seconds))
        number, failures, attempts = number + 1, failures + found[0], attempts + found[1]
        print(
            f"  {found[0]} failures, {found[1]} attempts of {given.runs} runs: all as their twins", flush=True
        )
    print(f"{number} rounds, {failures} failures, {attempts} attempts: no run lost, doubled or different.")


if __name__ == "__main__":
    main()
