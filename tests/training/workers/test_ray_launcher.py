"""Runs in a cluster, with a fake ray: what is asked of it, and what becomes of runs that it has lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from cnnviz import tracking
from cnnviz.experiments import get as get_experiment
from cnnviz.experiments import start
from cnnviz.experiments.running import progress
from cnnviz.tracking import Command, Database, Run, Status
from cnnviz.tracking.queue import machines, waiting_reason
from cnnviz.tracking.tables import RunRow
from cnnviz.training.workers import Order, Supervisor, ray_cluster, supervisor
from cnnviz.training.workers.ray_cluster import RayLauncher
from cnnviz.training.workers.supervisor import ELSEWHERE_SECONDS, RunMonitor
from tests.experiments.making import NORMALISING
from tests.training.workers.making import LIGHT, queue

HOST = "ray 10.0.0.1:6379"


@dataclass
class FakeRay:
    """A cluster that holds what it is given: actors and placement groups by name, and never has room."""

    resources: list[dict[str, float]]
    actors: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    util: Any = field(default_factory=SimpleNamespace)

    def is_initialized(self) -> bool:
        return True

    def shutdown(self) -> None: ...

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=HOST.partition(" ")[2], get_node_id=lambda: "abc")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": each} for each in self.resources]

    def get_actor(self, name: str, namespace: str) -> str:
        if name not in self.actors:
            raise ValueError(name)
        return name

    def kill(self, actor: str, no_restart: bool) -> None:
        del self.actors[actor]

    def remote(self, cls: type) -> Any:
        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=lambda *order: self.actors.__setitem__(given["name"], order))

        return SimpleNamespace(options=options)

    # Of `ray.util`.

    def placement_group(self, bundles: list[dict[str, int]], strategy: str, name: str, lifetime: str) -> str:
        assert lifetime == "detached"
        self.groups[name] = bundles
        return name

    def placement_group_table(self) -> dict[str, Any]:
        return {name: {"name": name, "state": "PENDING"} for name in self.groups}

    def get_placement_group(self, name: str) -> str:
        if name not in self.groups:
            raise ValueError(name)
        return name

    def remove_placement_group(self, group: str) -> None:
        del self.groups[group]

    def PlacementGroupSchedulingStrategy(self, group: str, placement_group_bundle_index: int) -> str:  # noqa: N802
        return group


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRay:
    """Two nodes of four cores; one of them has two GPUs."""
    found = FakeRay([{"CPU": 4.0, "GPU": 2.0}, {"CPU": 4.0}])
    for name in ("ray", "ray.util", "ray.util.placement_group", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, found)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    monkeypatch.setenv("CNNVIZ_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return found


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", f"sqlite:///{tmp_path}/runs.sqlite")
    return tracking.connect()


@pytest.fixture
def look(ray: FakeRay, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """One look of a supervisor at the cluster."""
    monkeypatch.setattr(supervisor, "PARENT_SECONDS", 0.0)
    monkeypatch.setattr("cnnviz.training.workers.ray_cluster.TIDY_SECONDS", 0.0)
    watching = Supervisor(launcher=RayLauncher("auto", cores=2))
    watching._store = tracking.store.open_store()
    return lambda: watching._look(database)


def silence(database: Database, run: int, seconds: float) -> None:
    with database.write() as session:
        session.execute(update(RunRow).where(RunRow.id == run).values(heartbeat=RunRow.heartbeat - seconds))


def get(database: Database, run: int) -> Run:
    return tracking.get_run(database, run)


def test_each_run_is_a_placement_group_and_an_order_without_secrets(
    ray: FakeRay, database: Database, look: Callable[[], None]
) -> None:
    on_cpu = [queue(database, "train") for _ in range(4)]
    on_gpus, too_many = queue(database, "train", "gpu:2"), queue(database, "train", "gpu:3")
    look()
    (machine,) = machines(database)
    assert machine.text == f"{HOST}: 3 runs on the CPU and 2 GPUs"  # a core for each GPU, two for each run
    assert [get(database, run).device for run in on_cpu[:3]] == ["cpu", "cpu:1", "cpu:2"]
    assert get(database, on_cpu[3]).status is Status.QUEUED
    assert get(database, too_many).status is Status.QUEUED
    assert "gpu:3" in (waiting_reason([machine], "gpu:3") or "")
    run = get(database, on_gpus)
    assert (run.device, run.host, run.submitted) == ("cuda:0,cuda:1", HOST, True)
    name = f"cnnviz-{run.key}-1"
    assert ray.groups[name] == [{"CPU": 2, "GPU": 2}]
    order, _, cores = ray.actors[name]
    assert Order.read(order) == Order(on_gpus, 1, devices="cuda:0,cuda:1")
    assert "sqlite" not in order
    assert cores == 2


def test_an_experiment_fans_out_over_the_cluster(
    ray: FakeRay, database: Database, look: Callable[[], None]
) -> None:
    """Of its four runs three have a place at once; the fourth follows when one has ended."""
    number = start(database, NORMALISING.with_seeds(2))
    look()
    cells = list(NORMALISING.with_seeds(2).cells())
    assert progress(database, get_experiment(database, number)).going == tuple(cells[:3])
    assert len(ray.actors) == 3
    ended = get_experiment(database, number).runs[cells[0]]
    assert ended is not None
    tracking.begin(database, ended.lease)
    tracking.end(database, ended.lease, Status.FINISHED)
    ray.actors.pop(f"cnnviz-{ended.key}-1")
    look()
    after = progress(database, get_experiment(database, number))
    assert (after.done, after.going) == (1, tuple(cells[1:]))


def test_a_run_that_waits_for_room_is_not_taken_for_dead(
    ray: FakeRay, database: Database, look: Callable[[], None]
) -> None:
    run = queue(database, "train")
    look()
    silence(database, run, 2 * ELSEWHERE_SECONDS)
    look()
    other = RunMonitor(database, RayLauncher("auto"), "another machine", store=True)
    other.look(tracking.list_runs(database))
    assert (get(database, run).status, get(database, run).attempt) == (Status.STARTING, 1)


def test_a_run_whose_node_is_gone_goes_on_on_another_one(
    ray: FakeRay, database: Database, look: Callable[[], None]
) -> None:
    run = queue(database, "train")
    look()
    ray.actors.clear()
    look()
    assert get(database, run).attempt == 1, "it may be about to be submitted"
    silence(database, run, 20.0)
    look()
    look()
    moved = get(database, run)
    assert (moved.status, moved.attempt, moved.tries) == (Status.STARTING, 2, 1)
    assert list(ray.groups) == list(ray.actors) == [f"cnnviz-{moved.key}-2"]
    ray.groups["cnnviz-left"] = []  # of a supervisor that was killed in between
    look()
    look()
    assert list(ray.groups) == [f"cnnviz-{moved.key}-2"]


def test_a_run_that_waits_for_room_can_be_stopped(
    ray: FakeRay, database: Database, look: Callable[[], None]
) -> None:
    run = queue(database, "train")
    look()
    tracking.request(database, run, Command.STOP)
    look()
    look()
    assert (get(database, run).status, get(database, run).error) == (Status.STOPPED, None)
    assert not ray.actors
    assert not ray.groups


def test_the_actor_records_how_its_process_ended_and_gives_its_place_back(
    ray: FakeRay, database: Database, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr(ray_cluster, "PROCESS", LIGHT)
    monkeypatch.setattr("os._exit", left.append)
    run = queue(database, "leave")
    look()
    ((order, name, cores),) = ray.actors.values()
    ray_cluster.RunActor(order, name, cores).thread.join()
    ended = get(database, run)
    assert ended.status is Status.FAILED
    assert ended.error == "Its worker ended with exit code 1: the kernel module is not loaded"
    assert left == [0]
    assert not ray.groups


def test_a_node_without_a_store_does_not_begin_anew(
    ray: FakeRay, database: Database, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "PROCESS", LIGHT)
    monkeypatch.setattr("os._exit", lambda code: None)
    run = queue(database, "finish")
    look()
    monkeypatch.delenv("CNNVIZ_STORE")
    ((order, name, cores),) = ray.actors.values()
    ray_cluster.RunActor(order, name, cores).thread.join()
    failed = get(database, run)
    assert failed.status is Status.FAILED
    assert (failed.error or "").startswith("CNNVIZ_STORE is not set on ")
    assert not ray.groups


def test_a_run_goes_on_by_itself_whose_process_had_no_database(
    ray: FakeRay, database: Database, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "PROCESS", LIGHT)
    monkeypatch.setattr("os._exit", lambda code: None)
    run = queue(database, "lose")
    look()
    ((order, name, cores),) = ray.actors.values()
    ray_cluster.RunActor(order, name, cores).thread.join()
    found = get(database, run)
    assert (found.status, found.tries, found.error) == (Status.QUEUED, 1, None)
    assert tracking.history(database, run)[-1].reason == "The run database cannot be used."


def test_ray_without_a_token_or_a_store_is_refused(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ValueError, match="token is off"):
        RayLauncher("auto")
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.delenv("CNNVIZ_STORE")
    with pytest.raises(ValueError, match="set CNNVIZ_STORE"):
        RayLauncher("auto")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'cnnviz\[cluster\]'"):
        RayLauncher("auto")
