"""A run with a rank on each of several nodes of a fake cluster, whose actors are real processes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnnviz import datasets, tracking
from cnnviz.datasets.spec import silent
from cnnviz.models.user_code import registration
from cnnviz.tracking import Command, Database, Lease, Run, Status
from cnnviz.tracking.queue import machines, waiting_reason
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers import Order, Supervisor, launcher, multinode, ray_cluster, supervisor
from cnnviz.training.workers.ray_cluster import RayLauncher
from cnnviz.training.workers.worker import work
from tests.training.test_travel import pictures
from tests.training.workers.fake_cluster import FakeCluster, Node, rank_process
from tests.training.workers.making import gone, queue, until
from tests.training.workers.test_soak import contents, rows

PATIENCE = 600.0
"""For what takes seconds: processes that import torch, on a machine that does much else."""
RECIPE = Recipe(dataset="digits", limit=200, epochs=4, batch_size=50, device="cpu:2", pad_crop=2)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", f"sqlite:///{tmp_path}/runs.sqlite")
    monkeypatch.setenv("CNNVIZ_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with tracking.connect() as opened:
        yield opened


class Site:
    """A fake cluster with its supervisor, which looks whenever something is waited for."""

    def __init__(self, database: Database, cluster: FakeCluster) -> None:
        self.database, self.cluster = database, cluster
        self._supervisor = Supervisor(launcher=RayLauncher("auto", cores=1), allow_code=True)
        self._supervisor._store = tracking.store.open_store()

    def look(self) -> None:
        self._supervisor._look(self.database)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            self.look()
            self.cluster.settle()
            return condition()

        until(holds, what, PATIENCE)

    def get(self, run: int) -> Run:
        return tracking.get_run(self.database, run)

    def become(self, run: int, *statuses: Status) -> Run:
        names = " or ".join(statuses)
        self.until(lambda: self.get(run).status in statuses, f"run {run} is {names}")
        return self.get(run)

    def trains_on(self, run: int) -> Run:
        """Wait for a step, and for a checkpoint that other nodes can read."""
        step = self.get(run).step
        self.until(lambda: self.get(run).step > step, f"run {run} trains on")
        self.until(lambda: "last" in tracking.checkpoints(self.database, run), f"run {run} has a checkpoint")
        return self.get(run)


@pytest.fixture
def site(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Two nodes of one core each."""
    cluster = FakeCluster(tmp_path / "cluster", {"CPU": 1}, {"CPU": 1})
    for name, module in cluster.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ray_cluster, "check_environment", lambda: None)
    monkeypatch.setattr(supervisor, "PARENT_SECONDS", 0.0)
    yield Site(database, cluster)
    cluster.close()


def on_one_node(database: Database, recipe: Recipe) -> int:
    """Train with two ranks on this machine."""
    run = enqueue(database, recipe).id
    lease = tracking.claim(database, "cpu", only=run, classes=[recipe.device])
    assert lease is not None
    assert work(database, lease, silent, lambda: False) is Status.FINISHED
    return run


def stored(database: Database, run: int) -> tuple[dict[str, str], dict[str, bytes]]:
    name = tracking.checkpoints(database, run)["last"].stored
    assert name is not None
    return contents(Path(os.environ["CNNVIZ_STORE"]) / name)


def test_a_run_is_packed_on_a_node_that_has_room_and_else_has_a_bundle_for_each_rank(site: Site) -> None:
    cluster = site.cluster

    def bundles(cores: int, device_class: str, *devices: str) -> list[dict[str, int]]:
        return RayLauncher("auto", cores=cores).bundles(device_class, devices)

    cluster.members = [Node("a", {"CPU": 8, "GPU": 2}, Path()), Node("b", {"CPU": 4, "GPU": 2}, Path())]
    assert bundles(4, "cpu", "cpu") == bundles(4, "cpu:4", "cpu") == [{"CPU": 4}]
    assert bundles(4, "cpu:6", "cpu", "cpu:1") == [{"CPU": 6}], "two of eight cores are for GPUs"
    assert bundles(4, "cpu:7", "cpu", "cpu:1") == [{"CPU": 1}] * 7
    assert bundles(4, "gpu", "cuda:3") == [{"CPU": 1, "GPU": 1}]
    assert bundles(4, "gpu:2", "cuda:0", "cuda:1") == [{"CPU": 2, "GPU": 2}]
    assert bundles(4, "gpu:3", "cuda:0", "cuda:1", "cuda:2") == [{"CPU": 1, "GPU": 1}] * 3


def test_a_run_that_waits_for_two_places_is_not_overtaken(site: Site) -> None:
    first = queue(site.database, "train")
    site.look()
    two, one = queue(site.database, "train", "cpu:2"), queue(site.database, "train")
    site.look()
    assert site.get(first).status is Status.STARTING
    assert (site.get(two).status, site.get(one).status) == (Status.QUEUED, Status.QUEUED)
    site.cluster.kill(f"cnnviz-{site.get(first).key}-1", no_restart=True)
    tracking.end(site.database, Lease(first, 1), Status.STOPPED)
    site.look()
    assert (site.get(two).device, site.get(one).status) == ("cpu,cpu:1", Status.QUEUED)


def test_two_ranks_on_two_nodes_end_as_two_on_one(site: Site) -> None:
    whole = on_one_node(site.database, RECIPE)
    run, other = enqueue(site.database, RECIPE).id, enqueue(site.database, RECIPE.changed({"seed": 2})).id
    site.look()
    (machine,) = machines(site.database)
    assert waiting_reason([machine], "cpu:3") is not None
    assert waiting_reason([machine], "cpu:2") is None
    submitted = site.get(run)
    assert (submitted.device, submitted.submitted) == ("cpu,cpu:1", True)
    assert site.get(other).status is Status.QUEUED, "it holds both cores"
    name = f"cnnviz-{submitted.key}-1"
    assert site.cluster.bundles == {name: [{"CPU": 1}, {"CPU": 1}]}
    assert list(site.cluster.orders) == [f"{name}-rank-1", name], "rank 0 looks after those that are there"
    for rank, (order, group, cores) in enumerate(reversed(site.cluster.orders.values())):
        assert Order.read(order) == Order(run, 1, devices="cpu", rank=rank, world=2)
        assert (group, cores) == (name, 1)
    running = site.become(run, Status.RUNNING)
    assert running.worker is not None
    assert running.worker["rendezvous"][0] == "127.0.0.1"
    assert [site.cluster.actors_on(node.name) for node in site.cluster.members] == [
        [name],
        [f"{name}-rank-1"],
    ]
    ended = site.become(run, Status.FINISHED, Status.FAILED)
    assert (ended.status, ended.error, ended.attempt, ended.device) == (Status.FINISHED, None, 1, "cpu")
    assert rows(site.database, run) == rows(site.database, whole)
    assert stored(site.database, run) == stored(site.database, whole)
    tracking.request(site.database, other, Command.STOP)
    site.until(lambda: not site.cluster.placement_group_table(), "both cores are free")


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_run_goes_on_with_the_same_bits_when_the_node_of_a_rank_is_gone(site: Site, lost: int) -> None:
    recipe = RECIPE.changed({"epochs": 40})
    whole = on_one_node(site.database, recipe)
    run = enqueue(site.database, recipe).id
    site.become(run, Status.RUNNING)
    first = site.trains_on(run)
    assert first.total_steps is not None
    partner = f"cnnviz-{first.key}-1" + ("" if lost else "-rank-1")
    other = rank_process(site.cluster, partner)
    site.cluster.kill_node(f"node{lost}")
    site.until(lambda: site.get(run).tries == 1, "the loss is noticed")
    until(lambda: gone(other.pid), "the other rank has ended too", PATIENCE)
    waiting = site.get(run)
    assert 0 < waiting.step < first.total_steps
    site.look()
    assert site.get(run).status in (Status.QUEUED, Status.STARTING), "one core is left, and it asks for two"
    site.cluster.members.append(Node("node2", {"CPU": 1}, site.cluster.folder / "home2"))
    ended = site.become(run, Status.FINISHED, Status.FAILED, Status.INTERRUPTED)
    assert (ended.status, ended.error, ended.tries) == (Status.FINISHED, None, 1)
    assert rows(site.database, run) == rows(site.database, whole)
    assert stored(site.database, run) == stored(site.database, whole)


@pytest.mark.slow
def test_a_killed_rank_a_pause_and_a_stop(site: Site) -> None:
    run = enqueue(site.database, RECIPE.changed({"epochs": 100_000})).id
    site.become(run, Status.RUNNING)
    first = site.trains_on(run)
    rank_process(site.cluster, f"cnnviz-{first.key}-1-rank-1").kill()
    site.until(lambda: site.get(run).attempt == 2, "it goes on as a new attempt")
    site.become(run, Status.RUNNING)
    assert "One of its 2 processes was lost" in str(tracking.history(site.database, run))
    site.trains_on(run)
    tracking.request(site.database, run, Command.PAUSE)
    paused = site.become(run, Status.PAUSED)
    assert paused.error is None
    site.until(lambda: not site.cluster.placement_group_table(), "its place is given back")
    tracking.request(site.database, run, Command.RESUME)
    again = site.become(run, Status.RUNNING)
    assert (again.attempt, again.tries) == (3, 0), "a person has resumed it"
    site.trains_on(run)
    processes = [
        rank_process(site.cluster, name).pid
        for name in (f"cnnviz-{run_key}-3{suffix}" for run_key in [again.key] for suffix in ("", "-rank-1"))
    ]
    tracking.request(site.database, run, Command.STOP)
    assert site.become(run, Status.STOPPED).error is None
    until(lambda: all(map(gone, processes)), "no process is left", PATIENCE)


@pytest.mark.slow
def test_own_data_and_code_are_had_on_every_node(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = pictures(tmp_path / "pets")
    ready = datasets.load(str(place))
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, classes: int = 10) -> None:\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, classes))\n"
    )
    monkeypatch.delenv(registration.VARIABLE, raising=False)
    spec = registration.add(f"{tmp_path}/net.py:Net")
    own = {"model": spec.name, "dataset": str(place), "size": 28, "batch_size": 8, "pad_crop": 0}
    run = enqueue(site.database, RECIPE.changed(own | {"limit": None, "validation": 0, "epochs": 1}))
    monkeypatch.delenv(registration.VARIABLE)
    shutil.rmtree(place)
    ended = site.become(run.id, Status.FINISHED, Status.FAILED, Status.INTERRUPTED)
    assert (ended.status, ended.error, ended.fingerprint) == (Status.FINISHED, None, ready.fingerprint)
    for node in site.cluster.members:
        assert (node.home / "code" / run.recipe["code"]).exists()


@pytest.mark.slow
def test_what_fails_on_another_node_is_the_runs_error(site: Site) -> None:
    site.cluster.folder.joinpath("home1").write_text("a file where the node's home should be")
    run = enqueue(site.database, RECIPE).id
    failed = site.become(run, Status.FAILED, Status.FINISHED, Status.INTERRUPTED)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert "home1" in failed.error
    assert failed.tries == 0
    site.until(lambda: not site.cluster.placement_group_table(), "its place is given back")


@pytest.mark.slow
def test_a_partner_that_dies_before_it_comes_is_not_waited_for(site: Site) -> None:
    site.cluster.may_start = lambda name: not name.endswith("-1-rank-1")
    run = enqueue(site.database, RECIPE).id
    site.until(lambda: "rendezvous" in (site.get(run).worker or {}), "the first rank waits")
    site.cluster.kill(f"cnnviz-{site.get(run).key}-1-rank-1", no_restart=True)
    site.until(lambda: site.get(run).tries == 1, "the loss is noticed")
    ended = site.become(run, Status.FINISHED, Status.FAILED, Status.INTERRUPTED)
    assert (ended.status, ended.attempt) == (Status.FINISHED, 2)


def test_a_rank_whose_partner_never_comes_ends_in_a_sentence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multinode, "RENDEZVOUS_SECONDS", 0.5)
    run = enqueue(database, RECIPE).id
    lease = tracking.claim(database, "cpu", only=run, classes=["cpu:2"])
    assert lease == Lease(run, 1)
    first = Order(run, 1, devices="cpu", rank=0, world=2, node="127.0.0.1")
    partner = Order(run, 1, devices="cpu", rank=1, world=2, node="127.0.0.1")
    assert multinode.train_as_rank(database, partner) == launcher.LOST_RANK, "rank 0 has no address"
    assert tracking.get_run(database, run).status is Status.STARTING
    assert multinode.train_as_rank(database, first) == 0
    ended = tracking.get_run(database, run)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert ended.error.startswith("One of its processes did not reach the first one on ")
    assert ended.error.endswith("the nodes of the cluster have to reach each other at any port.")
    with pytest.raises(tracking.StaleAttemptError):
        multinode.train_as_rank(database, partner)
