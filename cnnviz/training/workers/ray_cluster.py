"""Ray launcher: workers in a Ray cluster, each a placement group with one actor, or one for each rank.

Queue, leases, commands, logs and checkpoints stay in the run database and the store, which every node
accesses through its own environment. A run with several ranks has one bundle and one actor where a node has
room for all of them, and else a bundle and an actor for each rank. An actor outlives the process that
submitted it: a later supervisor finds it by its name in the run's row. Importing this module imports neither
ray nor torch.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnviz import tracking
from cnnviz.device_class import CPU, gpus, ranks, split
from cnnviz.tracking import RunSummary, Status
from cnnviz.tracking.records import STARTING, SUBMITTED, actor_name, ray_handle
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.training.workers.launcher import LOST_RANK, PROCESS, Ending, Order, environment
from cnnviz.training.workers.parent_process import Tail
from cnnviz.training.workers.process import ONCE

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup


# Actor: runs the worker process of one run, or of one of its ranks, on a node of the cluster. Training is a
# separate process, as on any machine, so that a crash does not end the actor, which reports it. Database and
# store are those of the node's environment.

NAMESPACE = "cnnviz"
DATABASE_SECONDS = 60.0
"""Maximum time to record an end; after it the supervisor detects the lost actor and requeues the run."""
LOOK_SECONDS = 2.0
"""Interval between searches for the actors of the run's other ranks."""
GRACE_SECONDS = 10.0
"""Time in which a process ends by itself after another rank's actor was lost; then it is killed."""


def rank_actor(name: str, rank: int) -> str:
    """Return the name of a rank's actor, given the run's: rank 0 has the run's own."""
    return f"{name}-rank-{rank}" if rank else name


class RunActor:
    """Actor that trains one run, or one rank of it, in a child process, and exits.

    Its constructor starts the process, since a method call would be lost with the calling process. The actor
    of rank 0 records how the run ended and releases the placement group, which ends all others.

    Args:
        order: An `Order` as JSON.
        name: Name of the run's actor and placement group.
        cores: Number of CPU cores of the process.
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
                if not os.environ.get(STORE_VARIABLE):
                    sentence = (
                        f"{STORE_VARIABLE} is not set on {socket.gethostname()}, where it was to train, so "
                        "that node has no checkpoints; set it there before Ray is started."
                    )
                    tracking.end(database, self._order.lease, Status.FAILED, sentence)
                    return
                if self._order.rank == 0:
                    handle = ray_handle(self._name, STARTING, socket.gethostname(), node_id())
                    tracking.attach(database, self._order.lease, worker=handle)
                ending = self._train()
                if ending.code:
                    print(ending.last_lines, file=sys.stderr)  # To Ray's log of this actor.
                self._record(database, ending)
                if self._order.rank and ending.code == 0:
                    self._wait_for_first()
        except tracking.TrackingError as error:  # The lease is no longer valid, or the database unavailable.
            print(error, file=sys.stderr)
        finally:
            if self._order.rank:
                os._exit(0)
            else:
                release_and_exit(self._name)

    def _train(self) -> Ending:
        """Train in a child process, and return how it ended."""
        order = self._order if self._order.world == 1 else replace(self._order, node=node_address())
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
                process.stdin.write(order.write())
                process.stdin.close()
            return Ending(self._wait(process), tail.text())

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the process; kill it if it goes on waiting for a rank whose actor is lost."""
        needed = self._needed()
        if not needed:
            return process.wait()
        missed: float | None = None
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
            if all(actor_exists(name) for name in needed):
                missed = None
            elif missed is None:
                missed = time.monotonic()
            elif time.monotonic() - missed > GRACE_SECONDS:
                process.kill()
                process.wait()
                return LOST_RANK

    def _needed(self) -> list[str]:
        """Return the actors that this one cannot go on without: all others for rank 0, else rank 0's."""
        if self._order.rank:
            return [self._name]
        return [rank_actor(self._name, rank) for rank in range(1, self._order.world)]

    def _wait_for_first(self) -> None:
        """Wait until rank 0's actor has recorded the end and releases this one, or is lost."""
        while actor_exists(self._name):
            time.sleep(LOOK_SECONDS)

    def _record(self, database: tracking.Database, ending: Ending) -> None:
        """Record an end that the process itself could not record."""
        several, lost = self._order.world > 1, ending.code == LOST_RANK or ending.code < 0
        if self._order.rank and (lost or ending.lost_database):
            return  # Rank 0's actor does.
        deadline = time.monotonic() + DATABASE_SECONDS
        while ending.code != 0:
            try:
                run = tracking.get_run(database, self._order.run_id)
                if ending.lost_database or (several and lost):
                    reason = self._loss() if lost else ending.sentence
                    tracking.requeue_lost(database, self._order.lease, reason, here=True)
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

    def _loss(self) -> str:
        count = self._order.world
        return f"One of its {count} processes was lost, or its node, and the others ended with it."


def actor_exists(name: str) -> bool:
    """Return whether an actor is there, pending or at work; a cluster that does not answer loses none."""
    import ray

    try:
        actor: Any = ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return False
    except Exception as error:  # Of Ray, whose classes depend on its version.
        print(error, file=sys.stderr)
        return True
    return actor is not None


def node_id() -> str:
    """Return Ray's id of this node."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def node_address() -> str:
    """Return the address of this node by which the cluster's other nodes reach it."""
    import ray

    return str(ray.util.get_node_ip_address())


def release_and_exit(name: str) -> None:
    """Release the run's placement group, and exit."""
    from ray.util.placement_group import get_placement_group, remove_placement_group

    try:
        remove_placement_group(get_placement_group(name))
    finally:
        os._exit(0)


# Launcher: a placement group for each run.

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
