"""Runs on a real Ray cluster of a head and two nodes: they spread, and outlive the supervisor and a node."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.tracking import Command, Database, Run, Status
from cnnviz.tracking.queue import machines
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work
from tests.training.workers import making
from tests.training.workers.test_processes import ROOT, process
from tests.training.workers.test_soak import contents, rows

pytest.importorskip("ray", reason="Ray is an extra: pip install -r requirements-cluster.txt")
pytestmark = pytest.mark.slow

RECIPE = Recipe(dataset="digits", limit=200, epochs=200, batch_size=50, device="cpu", pad_crop=2)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A run database and a store, as the environment of every node names them, and Ray's token."""
    for name, value in {
        "CNNVIZ_DATABASE_URL": f"sqlite:///{tmp_path}/runs.sqlite",
        "CNNVIZ_STORE": str(tmp_path / "store"),
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with tracking.connect() as opened:
        yield opened


class Cluster:
    """A cluster in a process of its own."""

    def __init__(self, nodes: subprocess.Popen[bytes]) -> None:
        self._nodes = nodes
        self.address = self._answer()

    def kill(self, node: str) -> None:
        """End a node as a power cut does."""
        self._do(f"kill {node}")

    def spare(self, node: str) -> None:
        """End all other nodes."""
        self._do(f"spare {node}")

    def add(self) -> None:
        """Add a node."""
        self._do("add")

    def _do(self, line: str) -> None:
        assert self._nodes.stdin is not None
        self._nodes.stdin.write(line.encode() + b"\n")
        self._nodes.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._nodes.stdout is not None
        return self._nodes.stdout.readline().decode().strip()


@pytest.fixture
def cluster(database: Database, tmp_path: Path) -> Iterator[Cluster]:
    """A head that trains nothing, and two nodes of one core, each with a home of its own."""
    command = [sys.executable, "-m", "tests.training.workers.ray_nodes", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as nodes:
        found = Cluster(nodes)
        assert found.address, "the cluster did not start"
        yield found
        assert nodes.stdin is not None
        nodes.stdin.close()


def at_one_go(database: Database, recipe: Recipe) -> int:
    """Train a run in this process, with the one thread that the nodes have."""
    run = enqueue(database, recipe).id
    lease = tracking.claim(database, "cpu", only=run, classes=[recipe.device])
    assert lease is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert work(database, lease, silent, lambda: False) is Status.FINISHED
    finally:
        torch.set_num_threads(threads)
    return run


def stored(database: Database, run: int) -> tuple[dict[str, str], dict[str, bytes]]:
    """What a run's last checkpoint in the store holds."""
    name = tracking.checkpoints(database, run)["last"].stored
    assert name is not None
    return contents(Path(os.environ["CNNVIZ_STORE"]) / name)


def node_of(run: Run) -> str:
    assert run.worker is not None
    return str(run.worker["node_id"])


@contextlib.contextmanager
def at_work(cluster: Cluster) -> Iterator[None]:
    """`cnnviz work --ray`, which is killed at the end: runs go on."""
    with process("cnnviz", "work", "--ray", cluster.address):
        yield


PATIENCE = 1200.0
"""For what takes seconds on an idle machine: Ray starts processes that import torch, and misses a node."""
until = partial(making.until, seconds=PATIENCE)
end_of = partial(making.end_of, seconds=PATIENCE)


def become(database: Database, run: int, status: Status) -> Run:
    """Wait for a run to be in this state; fail at once when it has failed."""

    def is_so() -> bool:
        found = tracking.get_run(database, run)
        assert found.status not in {Status.FAILED, Status.INTERRUPTED} - {status}, found.error
        return found.status is status

    until(is_so, f"run {run} is {status}")
    return tracking.get_run(database, run)


def trains_on(database: Database, run: int) -> None:
    step = tracking.get_run(database, run).step
    until(lambda: tracking.get_run(database, run).step > step, "it trains on")


def test_runs_spread_over_nodes_and_outlive_supervisor_pause_and_a_node(
    database: Database, cluster: Cluster
) -> None:
    whole = at_one_go(database, RECIPE)
    first = enqueue(database, RECIPE).id
    second = enqueue(database, RECIPE.changed({"seed": 2, "epochs": 100_000})).id
    with at_work(cluster):
        running = [become(database, run, Status.RUNNING) for run in (first, second)]
        assert len({node_of(run) for run in running}) == 2
        assert {run.host for run in running} == {f"ray {cluster.address}"}
        (machine,) = machines(database)
        assert machine.text == f"ray {cluster.address}: 2 runs on the CPU"
        tracking.request(database, first, Command.PAUSE)
        become(database, first, Status.PAUSED)
    trains_on(database, second)  # Nobody supervises now.
    assert tracking.checkpoints(database, first)["last"].stored is not None
    with at_work(cluster):
        tracking.request(database, first, Command.RESUME)
        again = become(database, first, Status.RUNNING)
        assert again.attempt == 2
        assert tracking.get_run(database, second).attempt == 1
        tracking.request(database, second, Command.STOP)
        become(database, second, Status.STOPPED)
        trains_on(database, first)
        cluster.kill(node_of(again))
        until(lambda: tracking.get_run(database, first).attempt == 3, "another node has it")
        ended = end_of(database, first)
    assert (ended.status, ended.attempt, ended.tries) == (Status.FINISHED, 3, 1), ended.error
    assert rows(database, first) == rows(database, whole)
    assert stored(database, first) == stored(database, whole)


def test_ten_runs_spread_over_the_nodes_while_the_supervisor_is_restarted(
    database: Database, cluster: Cluster
) -> None:
    short = RECIPE.changed({"epochs": 3})
    whole = at_one_go(database, short)
    runs = [enqueue(database, short.changed({"seed": seed})).id for seed in range(10)]
    nodes: dict[int, str] = {}

    def finished(count: int) -> bool:
        found = [tracking.get_run(database, run) for run in runs]
        nodes.update({run.id: node_of(run) for run in found if (run.worker or {}).get("node_id")})
        return sum(run.status is Status.FINISHED for run in found) >= count

    for count in (3, 7, 10):  # The supervisor is killed and started again after three of them, and seven.
        with at_work(cluster):
            for number in range(count + 1):
                until(partial(finished, number), f"{number} runs have ended")
    ended = [tracking.get_run(database, run) for run in runs]
    assert [(run.status, run.error) for run in ended] == [(Status.FINISHED, None)] * 10
    assert (
        max(run.attempt for run in ended) <= 2
    )  # 2 where the supervisor was killed before it handed it over.
    assert set(nodes) == set(runs)
    assert len(set(nodes.values())) == 2
    assert min(list(nodes.values()).count(node) for node in nodes.values()) >= 2
    assert rows(database, runs[0]) == rows(database, whole)
    for run in runs:
        changes = [change.new for change in tracking.history(database, run)]
        assert changes.count(Status.FINISHED) == 1


TOGETHER = RECIPE.changed({"device": "cpu:2", "epochs": 100})


def test_a_run_has_a_rank_on_each_of_two_nodes(database: Database, cluster: Cluster) -> None:
    whole = at_one_go(database, TOGETHER)
    run = enqueue(database, TOGETHER).id
    with at_work(cluster):
        first = become(database, run, Status.RUNNING)
        assert (first.device, first.host) == ("cpu,cpu:1", f"ray {cluster.address}")
        trains_on(database, run)
        tracking.request(database, run, Command.PAUSE)
        become(database, run, Status.PAUSED)
        tracking.request(database, run, Command.RESUME)
        ended = end_of(database, run)
    assert (ended.status, ended.attempt, ended.error) == (Status.FINISHED, 2, None)
    assert rows(database, run) == rows(database, whole)
    assert stored(database, run) == stored(database, whole)


@pytest.mark.parametrize("lost", ["first", "other"])
def test_a_run_over_two_nodes_outlives_one_of_them(database: Database, cluster: Cluster, lost: str) -> None:
    whole = at_one_go(database, TOGETHER)
    run = enqueue(database, TOGETHER).id
    with at_work(cluster):
        first = become(database, run, Status.RUNNING)
        trains_on(database, run)
        until(lambda: "last" in tracking.checkpoints(database, run), "it can be resumed")
        (cluster.kill if lost == "first" else cluster.spare)(node_of(first))
        until(lambda: tracking.get_run(database, run).tries == 1, "the loss is noticed")
        cluster.add()
        ended = end_of(database, run)
    assert (ended.status, ended.error) == (Status.FINISHED, None)
    assert rows(database, run) == rows(database, whole)
    assert stored(database, run) == stored(database, whole)
