"""Process group: start the ranks of one run from a worker, wait for them, and report how it ended.

The launcher is torch's own (torchrun's): if a rank dies it ends the others. The run is then requeued and
resumes from its last checkpoint, as a new attempt with as many ranks.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cnnviz import tracking
from cnnviz.datasets import Progress
from cnnviz.tracking import Database, Lease, Status
from cnnviz.tracking.store import StoreError
from cnnviz.training.ranks import EXCHANGE_LIMIT, Ranks
from cnnviz.training.workers.failures import failure_of, lost_exchange

LOCAL = "127.0.0.1"
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class RankOrder:
    """Arguments of a rank process."""

    run_id: int
    attempt: int
    address: str
    """Address of the database with its password: passed in memory, never on a command line."""
    devices: tuple[str, ...]
    threads: int
    results: str
    """Folder in which a failing rank writes its error."""
    parent: int


@dataclass(frozen=True)
class GroupEnding:
    """Result of the ranks: status, error, last lines; no status if one was killed, or had no database."""

    status: Status | None
    error: str | None = None
    last_lines: str | None = None


Train = Callable[[Database, Lease, Progress, Callable[[], bool], Ranks, str], Status]
"""Training function of a rank that has joined the process group: `worker.train`."""


def train_together(
    database: Database, lease: Lease, world: int, train: Train, devices: tuple[str, ...]
) -> GroupEnding:
    """Train a leased run with `world` ranks on this machine and return how it ended.

    Ranks are forked if torch uses one CPU thread per rank and this process has no other thread, which is
    cheapest; otherwise, or if this process uses a GPU, they are spawned.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    run = tracking.get_run(database, lease.run_id)
    threads = max(1, torch.get_num_threads() // world)
    with tempfile.TemporaryDirectory(prefix="cnnviz-ranks-") as folder:
        order = RankOrder(
            lease.run_id, lease.attempt, database.url.render_as_string(hide_password=False), devices,
            threads, folder, os.getpid(),
        )  # fmt: skip
        uses_gpu = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
        # A forked child would deadlock on locks held by other threads at the time of the fork.
        is_single_threaded = threading.active_count() == 1
        forks = is_single_threaded and threads == 1 and not uses_gpu and devices[0].startswith("cpu")
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=world,
            run_id=f"cnnviz-{run.key}-{lease.attempt}",
            rdzv_backend="c10d",
            rdzv_endpoint=f"{LOCAL}:0",
            local_addr=LOCAL,
            max_restarts=0,
            monitor_interval=0.1,
            start_method="fork" if forks else "spawn",
        )
        database.close()  # A forked child must not inherit open connections.
        handlers = {number: signal.getsignal(number) for number in _HANDLED}
        try:
            results = elastic_launch(config, rank_main)(asdict(order), train)
        except ChildFailedError:
            return _failure(Path(folder))
        except SignalException as ended:
            return GroupEnding(Status.INTERRUPTED, f"It was ended by {ended.sigval.name}.")
        finally:
            for number, handler in handlers.items():  # The launcher does not restore them.
                signal.signal(number, handler)
    return GroupEnding(Status(results[0]["status"]))


def _failure(folder: Path) -> GroupEnding:
    """Read the errors written by failed ranks; without any, a rank was killed."""
    failures = [json.loads(path.read_bytes()) for path in sorted(folder.glob("rank-*.json"))]
    if not failures:
        return GroupEnding(None)
    first = failures[0]
    return GroupEnding(first["status"] and Status(first["status"]), first["error"], first["last_lines"])


def rank_main(values: dict[str, Any], train: Train) -> dict[str, str]:
    """Entry point of a rank: join the process group, train, and return the status."""
    order = RankOrder(**values | {"devices": tuple(values["devices"])})
    _exit_with(order.parent)
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    torch.set_num_threads(order.threads)
    try:
        return {"status": _train(order, ranks, train).value}
    except Exception as error:
        # A rank whose exchange with another one broke has not failed itself: the other's error counts, and if
        # there is none it was killed.
        if lost_exchange(error):
            os._exit(1)
        failure = failure_of(error)
        lost_database = isinstance(error, tracking.TrackingError) and not isinstance(
            error, StoreError | tracking.DatabaseFullError
        )
        status = None if lost_database else failure.status
        _write_failure(order, ranks, status, failure.error, failure.last_lines)
    sys.stderr.flush()
    os._exit(1)  # Immediately: other ranks wait for this one in a collective until the launcher ends them.


def _train(order: RankOrder, ranks: Ranks, train: Train) -> Status:
    from torch import distributed

    from cnnviz.datasets.spec import silent

    device = order.devices[ranks.rank % len(order.devices)]
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, timeout=EXCHANGE_LIMIT)
    try:
        with tracking.connect(order.address) as database:
            lease = Lease(order.run_id, order.attempt)
            return train(database, lease, silent, lambda: False, ranks, device)
    finally:
        with suppress(Exception):
            distributed.destroy_process_group()


def _write_failure(
    order: RankOrder, ranks: Ranks, status: Status | None, error: str, last_lines: str | None
) -> None:
    path = Path(order.results) / f"rank-{ranks.rank}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        json.dumps({"status": status, "error": error, "last_lines": last_lines}), encoding="utf-8"
    )
    temporary.replace(path)


def _exit_with(parent: int) -> None:
    """Exit when the worker process does, however it ends: an orphaned rank would hold its device forever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() == 1 or not _exists(parent):
        os._exit(1)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _loopback() -> str:
    return "lo" if sys.platform == "linux" else "lo0"
