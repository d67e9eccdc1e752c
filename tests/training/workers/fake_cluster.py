"""A stand-in for a Ray cluster whose actors are real processes; nodes, groups and actors lie in a folder.

The test holds a `FakeCluster`, which places the bundles of a placement group as Ray does (all or none,
packed) and starts each of its actors as a process in its node's environment. What an actor asks Ray for, it
reads and writes in the same folder (`FolderRay`).

    python -m tests.training.workers.fake_cluster FOLDER NAME     # an actor
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from tests.training.workers.making import gone

MODULES = ("ray", "ray.util", "ray.util.placement_group", "ray.util.scheduling_strategies")
ADDRESS = "10.0.0.1:6379"


class FolderRay:
    """What the product asks of ray, answered from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.util = self
        for part in ("actors", "groups"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def get_actor(self, name: str, namespace: str) -> str:
        assert namespace == "cnnviz"
        if not self.actor_is_there(name):
            raise ValueError(name)
        return name

    def actor_is_there(self, name: str) -> bool:
        """Whether it waits for its place, or its process lives."""
        try:
            pid = json.loads((self.folder / "actors" / name).read_bytes())["pid"]
        except FileNotFoundError:
            return False
        return pid is None or not gone(pid)

    def kill(self, actor: str, no_restart: bool) -> None:
        path = self.folder / "actors" / actor
        with suppress(FileNotFoundError):
            pid = json.loads(path.read_bytes())["pid"]
            path.unlink()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def get_placement_group(self, name: str) -> str:
        if not (self.folder / "groups" / name).exists():
            raise ValueError(name)
        return name

    def remove_placement_group(self, group: str) -> None:
        """Kill its actors, the caller last."""
        (self.folder / "groups" / group).unlink(missing_ok=True)
        names = [path.name for path in (self.folder / "actors").iterdir() if path.name.startswith(group)]
        for name in sorted(names, reverse=True):
            self.kill(name, no_restart=True)

    def placement_group_table(self) -> dict[str, Any]:
        names = [path.name for path in (self.folder / "groups").iterdir()]
        return {name: {"name": name, "state": "CREATED"} for name in names}

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=ADDRESS, get_node_id=lambda: os.environ["FAKE_NODE"])

    def get_node_ip_address(self) -> str:
        return "127.0.0.1"

    def is_initialized(self) -> bool:
        return True

    def shutdown(self) -> None: ...

    def modules(self) -> dict[str, Any]:
        """What takes ray's place among a process's modules."""
        return dict.fromkeys(MODULES, self)


@dataclass
class Node:
    """A node of the fake cluster."""

    name: str
    resources: dict[str, int]
    home: Path
    alive: bool = True
    held: dict[str, list[dict[str, int]]] = field(default_factory=dict)

    def free(self, resource: str) -> int:
        """How much of a resource no bundle holds."""
        used = sum(bundle.get(resource, 0) for bundles in self.held.values() for bundle in bundles)
        return self.resources.get(resource, 0) - used


class FakeCluster(FolderRay):
    """The cluster as the test and the supervisor in its process see it."""

    def __init__(self, folder: Path, *nodes: dict[str, int]) -> None:
        super().__init__(folder)
        self.members = [
            Node(f"node{number}", resources, folder / f"home{number}")
            for number, resources in enumerate(nodes)
        ]
        self.bundles: dict[str, list[dict[str, int]]] = {}
        """Of every placement group there was."""
        self.places: dict[str, list[Node]] = {}
        self.orders: dict[str, tuple[Any, ...]] = {}
        """Of every actor there was."""
        self.may_start: Callable[[str], bool] = lambda name: True
        """Whether an actor that has its place does something."""
        self._bundle_of: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": node.alive, "Resources": node.resources} for node in self.members]

    def kill_node(self, name: str) -> None:
        """End all actors of a node, as a power cut does; the cluster knows at once."""
        node = next(node for node in self.members if node.name == name)
        node.alive = False
        for actor in self.actors_on(name):
            self.kill(actor, no_restart=True)

    def actors_on(self, name: str) -> list[str]:
        """Actors with a place on a node."""
        found = []
        for actor, index in self._bundle_of.items():
            group = actor.partition("-rank-")[0]
            if group in self.places and self.places[group][index].name == name and self.actor_is_there(actor):
                found.append(actor)
        return found

    def remote(self, cls: type) -> Any:
        def options(**given: Any) -> Any:
            def create(*order: Any) -> None:
                name = given["name"]
                self._bundle_of[name] = given["scheduling_strategy"][1]
                self.orders[name] = order
                self._write(name, None)

            return SimpleNamespace(remote=create)

        return SimpleNamespace(options=options)

    def placement_group(self, bundles: list[dict[str, int]], strategy: str, name: str, lifetime: str) -> str:
        assert (strategy, lifetime) == ("PACK", "detached")
        self.bundles[name] = bundles
        (self.folder / "groups" / name).write_text("")
        return name

    def PlacementGroupSchedulingStrategy(  # noqa: N802
        self, group: str, placement_group_bundle_index: int
    ) -> tuple[str, int]:
        return group, placement_group_bundle_index

    def settle(self) -> None:
        """Give room back, place what there is room for, and start the actors of what has its place."""
        present = set(self.placement_group_table())
        for node in self.members:
            node.held = {group: bundles for group, bundles in node.held.items() if group in present}
        for group in sorted(present):
            if group not in self.places and group in self.bundles:
                self._place(group)
        for process in self._processes.values():
            process.poll()
        for name, index in self._bundle_of.items():
            group = name.partition("-rank-")[0]
            waits = name not in self._processes and self.actor_is_there(name) and group in self.places
            if waits and self.places[group][index].alive:
                self._start(name, self.places[group][index])

    def close(self) -> None:
        """End every process."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _place(self, group: str) -> None:
        """Place all bundles of a group, on as few nodes as it takes, or none."""
        chosen: list[Node] = []
        for bundle in self.bundles[group]:
            fitting = [
                node
                for node in self.members
                if node.alive and all(node.free(resource) >= count for resource, count in bundle.items())
            ]
            if not fitting:
                for node in chosen:
                    node.held.pop(group, None)
                return
            node = next((node for node in fitting if node in chosen), fitting[0])
            node.held.setdefault(group, []).append(bundle)
            chosen.append(node)
        self.places[group] = chosen

    def _start(self, name: str, node: Node) -> None:
        if not self.may_start(name):
            command = [sys.executable, "-c", "import signal; signal.pause()"]
        else:
            command = [sys.executable, "-m", __name__, str(self.folder), name]
        environment = os.environ | {"CNNVIZ_HOME": str(node.home), "FAKE_NODE": node.name}
        self._processes[name] = subprocess.Popen(command, env=environment)
        self._write(name, self._processes[name].pid)

    def _write(self, name: str, pid: int | None) -> None:
        temporary = self.folder / f"{name}.tmp"
        temporary.write_text(json.dumps({"pid": pid, "order": self.orders[name]}))
        temporary.replace(self.folder / "actors" / name)


def rank_process(cluster: FakeCluster, actor: str) -> psutil.Process:
    """The worker process that an actor has started."""
    pid = json.loads((cluster.folder / "actors" / actor).read_bytes())["pid"]
    (child,) = psutil.Process(pid).children()
    return child


def main(folder: Path, name: str) -> None:
    """Be an actor."""
    sys.modules.update(FolderRay(folder).modules())
    from cnnviz.training.workers.ray_cluster import RunActor

    RunActor(*json.loads((folder / "actors" / name).read_bytes())["order"])
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
