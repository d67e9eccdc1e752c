"""Ray launcher: workers in a Ray cluster, each a placement group with one actor.

Queue, leases, commands, logs and checkpoints stay in the run database and the store, which every node
accesses through its own environment. An actor outlives the process that submitted it: a later supervisor
finds it by its name in the run's row. Importing this module imports neither ray nor torch.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cnnviz import tracking
from cnnviz.device_class import CPU, gpus, split
from cnnviz.tracking import RunSummary, Status
from cnnviz.tracking.records import STARTING, SUBMITTED, actor_name, ray_handle
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.training.workers.launcher import PROCESS, Ending, Order, environment
from cnnviz.training.workers.parent_process import Tail
from cnnviz.training.workers.process import ONCE

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup


NAMESPACE = "cnnviz"
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

    def handle(self, run: RunSummary) -> dict[str, Any]:
        """Return a handle with the actor's name, by which any supervisor finds it."""
        self._name = actor_name(run)
        return ray_handle(self._name, SUBMITTED)

    def send_order(self, order: Order, device: str) -> None:
        """Submit the run; it starts when the cluster has the resources."""
        self._launcher.submit(self._name, order, split(device))


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

    def max_gpus_per_run(self) -> int:
        """Return the number of GPUs of the node that has most of them."""
        return max((count for _, count in self._survey()), default=0) or 1

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

    def submit(self, name: str, order: Order, devices: tuple[str, ...]) -> None:
        """Create a placement group and an actor in it, both detached from this process."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._connect()
        gpu_count = len(gpus(devices))
        cores = gpu_count or self._cores_of_a_run(self._survey())
        # One bundle: an actor uses one bundle, so all GPUs of a run are on one node.
        bundle = {"CPU": cores} | ({"GPU": gpu_count} if gpu_count else {})
        group = placement_group([bundle], strategy="PACK", name=name, lifetime="detached")
        local = ",".join(f"cuda:{number}" for number in range(gpu_count)) or CPU  # Ray shows it no others.
        order_line = Order(order.run_id, order.attempt, devices=local).write().decode()
        actor = ray.remote(RunActor).options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            max_restarts=0,
            num_cpus=cores,
            num_gpus=gpu_count,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0),
        )
        actor.remote(order_line, name, cores)

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
        """Kill the actor, and with it its process."""
        import ray

        actor = self._actor(actor_name(run))
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


# Ray actor: runs the worker process of one run on a node of the cluster, and records how it ended.
#
# Training is a separate process, as on any machine, so that a crash does not end the actor, which reports
# it. Database and store are those of the node's environment. Importing this module does not import torch.

DATABASE_SECONDS = 60.0
"""Maximum time to record an end; after it the supervisor detects the lost actor and requeues the run."""


class RunActor:
    """Actor that trains one run in a child process, started by its constructor, and exits.

    The constructor starts it since a method call would be lost with the calling process.

    Args:
        order: An `Order` as JSON.
        name: Name of the actor.
        cores: Number of CPU cores of the run.
    """

    def __init__(self, order: str, name: str, cores: int) -> None:
        self._order, self._name, self._cores = Order.read(order.encode()), name, cores
        self.thread = threading.Thread(target=self._run, name="run", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with tracking.connect() as database:
                if actor_name(tracking.get_run(database, self._order.run_id)) != self._name:
                    raise tracking.TrackingError("This node's environment names another run database.")
                handle = ray_handle(self._name, STARTING, socket.gethostname(), node_id())
                tracking.attach(database, self._order.lease, worker=handle)
                self._record(database, self._train())
        except tracking.TrackingError as error:  # The lease is no longer valid, or the database unavailable.
            print(error, file=sys.stderr)
        finally:
            release_and_exit(self._name)

    def _train(self) -> Ending:
        """Train the run in a child process, and return how it ended."""
        with subprocess.Popen(
            [*PROCESS, ONCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment() | {"OMP_NUM_THREADS": str(self._cores)},
            start_new_session=True,  # It lowers the priority of its session, which must not be Ray's.
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            tail = Tail(process.stderr)
            with suppress(OSError):  # It has already ended; its exit code is reported.
                process.stdin.write(self._order.write())
                process.stdin.close()
            return Ending(process.wait(), tail.text())

    def _record(self, database: tracking.Database, ending: Ending) -> None:
        """Record an end that the process itself could not record."""
        deadline = time.monotonic() + DATABASE_SECONDS
        while ending.code != 0:
            try:
                run = tracking.get_run(database, self._order.run_id)
                if ending.lost_database:
                    tracking.requeue_lost(database, self._order.lease, ending.sentence, here=True)
                    return
                status = Status.STOPPED if run.status is Status.STOPPING else ending.status
                tracking.end(database, self._order.lease, status, ending.sentence, ending.last_lines)
            except tracking.StaleAttemptError:
                return
            except tracking.TrackingError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
            else:
                return


def node_id() -> str:
    """Return Ray's id of this node."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def release_and_exit(name: str) -> None:
    """Release the run's placement group, and exit."""
    from ray.util.placement_group import get_placement_group, remove_placement_group

    try:
        remove_placement_group(get_placement_group(name))
    finally:
        os._exit(0)
