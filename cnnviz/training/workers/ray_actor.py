"""Ray actor: runs the worker process of one run, or of one of its ranks, on a node of the cluster.

Training is a separate process, as on any machine, so that a crash does not end the actor, which reports it.
Database and store are those of the node's environment. Importing this module imports neither ray nor torch.
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
from typing import Any

from cnnviz import tracking
from cnnviz.tracking import Status
from cnnviz.tracking.records import STARTING, actor_name, ray_handle
from cnnviz.tracking.store import VARIABLE as STORE_VARIABLE
from cnnviz.training.workers.launcher import LOST_RANK, PROCESS, Ending, Order, environment
from cnnviz.training.workers.parent_process import Tail
from cnnviz.training.workers.process import ONCE

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
