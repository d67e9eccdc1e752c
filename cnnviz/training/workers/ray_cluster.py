"""Ray launcher: workers in a Ray cluster, each a placement group with one actor, or one for each rank.

Queue, leases, commands, logs and checkpoints stay in the run database and the store, which every node
accesses through its own environment. A run with several ranks has one bundle and one actor where a node has
room for all of them, and else a bundle and an actor for each rank. An actor outlives the process that
submitted it: a later supervisor finds it by its name in the run's row. Importing this module imports neither
ray nor torch.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from cnnviz.device_class import CPU, gpus, ranks, split
from cnnviz.tracking import RunSummary
from cnnviz.tracking.records import SUBMITTED, actor_name, ray_handle
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.training.workers.launcher import Ending, Order
from cnnviz.training.workers.ray_actor import NAMESPACE, RunActor, rank_actor

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

AUTH_MODE = "RAY_AUTH_MODE"
MAX_CORES = 8
"""Default number of cores of a run on the CPU, if every node has as many."""
TIDY_SECONDS = 10.0
"""Interval between searches for placement groups without an actor."""
SURVEY_SECONDS = 2.0
"""Time for which the cluster's resources are cached."""


class RayWorker:
    """Worker in the cluster, submitted when it gets a run."""

    def __init__(self, launcher: RayLauncher) -> None:
        self._launcher = launcher
        self._name = ""
        self._bundles: list[dict[str, int]] = []

    def handle(self, run: RunSummary) -> dict[str, Any]:
        """Return a handle with the actor's name, by which any supervisor finds it."""
        self._name = actor_name(run)
        self._bundles = self._launcher.bundles(run.device_class, split(run.device))
        return ray_handle(self._name, SUBMITTED) | {"actors": len(self._bundles)}

    def send_order(self, order: Order, device: str) -> None:
        """Submit the run; it starts when the cluster has the resources."""
        self._launcher.submit(self._name, order, self._bundles)


class RayLauncher:
    """Launcher of workers in a Ray cluster.

    Args:
        address: Of the cluster: `auto` on one of its nodes, `HOST:6379`, or `ray://HOST:10001`.
        cores: CPU cores of a run on the CPU; by default those of the smallest node, at most `MAX_CORES`.

    Raises:
        ValueError: ray is not installed, its token is disabled, or there is no store.
    """

    is_remote = True

    def __init__(self, address: str, cores: int | None = None) -> None:
        check_environment()
        self._address, self._cores = address, cores
        self._tidied = self._surveyed = 0.0
        self._empty: set[str] = set()
        self._nodes: list[tuple[int, int]] = []

    def host(self) -> str:
        """Return the cluster's name: the address of its control store, which is unique."""
        import ray

        self._connect()
        return f"ray {ray.get_runtime_context().gcs_address}"

    def ranks_per_slot(self) -> int:
        """Return the number of cores of a CPU slot: each of several ranks has one."""
        return self._cores_of_a_run(self._survey())

    def devices(self) -> frozenset[str]:
        """Return `all_devices`; the database knows which of them are free."""
        return self.all_devices()

    def all_devices(self) -> frozenset[str]:
        """Return a CPU slot per `cores` cores that are not reserved for GPUs, and every GPU."""
        nodes = self._survey()
        cores = self._cores_of_a_run(nodes)
        slots = sum(max(0, available - count) // cores for available, count in nodes)
        names = [CPU, *(f"{CPU}:{number}" for number in range(1, slots))] if slots else []
        return frozenset(names) | {f"cuda:{number}" for number in range(sum(count for _, count in nodes))}

    def worker(self) -> RayWorker:
        """Return a worker that holds no resources yet."""
        return RayWorker(self)

    def bundles(self, device_class: str, devices: tuple[str, ...]) -> list[dict[str, int]]:
        """Return the resources of a run's placement group: one bundle, or one for each of its ranks.

        An actor uses one bundle, which is on one node. A run whose ranks fit no node gets one for each rank.
        """
        nodes, world, gpu_count = self._survey(), ranks(device_class), len(gpus(devices))
        if gpu_count:
            if world == 1 or any(cores >= world and count >= world for cores, count in nodes):
                return [{"CPU": gpu_count, "GPU": gpu_count}]
            return [{"CPU": 1, "GPU": 1}] * world
        cores = self._cores_of_a_run(nodes)
        if world <= cores:
            return [{"CPU": cores}]
        if any(available - count >= world for available, count in nodes):
            return [{"CPU": world}]
        return [{"CPU": 1}] * world

    def submit(self, name: str, order: Order, bundles: list[dict[str, int]]) -> None:
        """Create a placement group and an actor in each of its bundles, all detached from this process."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._connect()
        group = placement_group(bundles, strategy="PACK", name=name, lifetime="detached")
        # Rank 0 last: its actor looks after the others, which have to be known to the cluster by then.
        for rank, bundle in reversed(list(enumerate(bundles))):
            cores, gpu_count = bundle["CPU"], bundle.get("GPU", 0)
            visible = [f"cuda:{number}" for number in range(gpu_count)]  # Ray shows it no others.
            names = ",".join(visible) or CPU
            rank_order = Order(order.run_id, order.attempt, devices=names, rank=rank, world=len(bundles))
            actor = ray.remote(RunActor).options(
                name=rank_actor(name, rank),
                namespace=NAMESPACE,
                lifetime="detached",
                max_restarts=0,
                num_cpus=cores,
                num_gpus=gpu_count,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=rank
                ),
            )
            actor.remote(rank_order.write().decode(), name, cores)

    def is_alive(self, run: RunSummary) -> bool:
        """Return whether the actor exists in the cluster: pending, starting, or training."""
        return self._actor(actor_name(run)) is not None

    def ending(self, run: RunSummary) -> Ending | None:
        """Return None: the actor itself records how its process ended."""
        return None

    def forget(self, run: RunSummary) -> None:
        """Release the run's placement group."""
        group = self._group(actor_name(run))
        if group is not None:
            self._remove(group)

    def kill(self, run: RunSummary) -> None:
        """Kill the actors, and with them their processes."""
        import ray

        for rank in range(ranks(run.device_class)):
            actor = self._actor(rank_actor(actor_name(run), rank))
            if actor is not None:
                ray.kill(actor, no_restart=True)

    def maintain(self, waiting_devices: frozenset[str]) -> None:
        """Release placement groups without an actor: of runs that ended, or whose node was lost."""
        if time.monotonic() - self._tidied < TIDY_SECONDS:
            return
        from ray.util.placement_group import placement_group_table

        self._connect()
        names = {
            group["name"]
            for group in placement_group_table().values()
            if group["state"] != "REMOVED" and group["name"].startswith(f"{NAMESPACE}-")
        }
        empty = {name for name in names if self._actor(name) is None}
        for name in empty & self._empty:  # In two searches, since a group is created before its actor.
            group = self._group(name)
            if group is not None:
                self._remove(group)
        self._empty, self._tidied = empty, time.monotonic()

    def close(self) -> None:
        """Disconnect from the cluster; runs continue."""
        import ray

        if ray.is_initialized():
            ray.shutdown()

    def _connect(self) -> None:
        import ray

        if not ray.is_initialized():
            ray.init(address=self._address, namespace=NAMESPACE, configure_logging=False, log_to_driver=False)

    def _survey(self) -> list[tuple[int, int]]:
        """Return cores and GPUs of every live node."""
        import ray

        if time.monotonic() - self._surveyed > SURVEY_SECONDS or not self._nodes:
            self._connect()
            resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self._nodes = [
                (int(node_resources.get("CPU", 0)), int(node_resources.get("GPU", 0)))
                for node_resources in resources
            ]
            self._surveyed = time.monotonic()
        return self._nodes

    def _cores_of_a_run(self, nodes: list[tuple[int, int]]) -> int:
        if self._cores is None:  # The same for every run, even if smaller nodes join later.
            available = [cores for cores, _ in nodes if cores]
            if not available:
                return 1
            self._cores = min(MAX_CORES, *available)
        return self._cores

    def _actor(self, name: str) -> Any:
        import ray

        self._connect()
        try:
            return ray.get_actor(name, namespace=NAMESPACE)
        except ValueError:
            return None

    def _group(self, name: str) -> PlacementGroup | None:
        from ray.util.placement_group import get_placement_group

        self._connect()
        try:
            return get_placement_group(name)
        except ValueError:
            return None

    def _remove(self, group: PlacementGroup) -> None:
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(group)


def check_environment() -> None:
    """Require Ray's token authentication; raise `ValueError` if it is disabled or a part is missing."""
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise ValueError("--ray needs Ray: pip install 'cnnviz[cluster]'.")
    if os.environ.setdefault(AUTH_MODE, "token").lower() != "token":
        raise ValueError(
            f"Ray's token is off ({AUTH_MODE}={os.environ[AUTH_MODE]}), so that whoever reaches the cluster "
            "could run code on it; set it to token, and make one with: ray get-auth-token --generate"
        )
    if not os.environ.get(STORE_VARIABLE):
        raise ValueError(
            f"A cluster keeps checkpoints in a store that every node reaches; set {STORE_VARIABLE} to a "
            "shared folder or an s3:// address, here and on the nodes."
        )
