"""Ray actor: runs the worker process of one run on a node of the cluster, and records how it ended.

Training is a separate process, as on any machine, so that a crash does not end the actor, which reports it.
Database and store are those of the node's environment. Importing this module does not import torch.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

from cnnviz import tracking
from cnnviz.tracking import Status
from cnnviz.tracking.records import STARTING, actor_name, ray_handle
from cnnviz.training.workers.launcher import Ending, Order
from cnnviz.training.workers.local import PROCESS, environment
from cnnviz.training.workers.parent_process import Tail
from cnnviz.training.workers.process import ONCE

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
