"""Start the ranks of one run from a worker, wait for them, and say how it ended.

The launcher is torch's own (torchrun's): a rank that dies takes the others with it. The run then goes on by
itself from its last checkpoint, as a new attempt with as many ranks.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cnnviz import tracking
from cnnviz.datasets import Progress
from cnnviz.sentences import full_stop
from cnnviz.tracking import Database, Lease, Status
from cnnviz.tracking.store import StoreError
from cnnviz.training.metrics import NonFiniteLossError
from cnnviz.training.ranks import Ranks

LOCAL = "127.0.0.1"
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class RankOrder:
    """What a rank has to know."""

    run_id: int
    attempt: int
    address: str
    """The database's, with its password: handed on in memory, never in a command line."""
    devices: tuple[str, ...]
    threads: int
    results: str
    """The folder in which a rank that fails leaves its sentence."""
    parent: int


@dataclass(frozen=True)
class GroupEnding:
    """How the ranks ended: the run's state, a sentence, the last lines; no state where one was killed."""

    status: Status | None
    error: str | None = None
    last_lines: str | None = None


Train = Callable[[Database, Lease, Progress, Callable[[], bool], Ranks, str], Status]
"""What a rank does once it has joined the others: `worker.train`."""


def train_together(
    database: Database, lease: Lease, world: int, train: Train, devices: tuple[str, ...]
) -> GroupEnding:
    """Train a leased run by `world` ranks on this machine and return how that ended.

    Ranks are forked where torch runs on one CPU thread each and this process has no other thread, which costs
    nothing; where that is not so, or where this process uses a GPU, they are new processes.
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
        # A fork finds every lock held that another thread held at that moment, and waits for it forever.
        alone = threading.active_count() == 1
        forks = alone and threads == 1 and not uses_gpu and devices[0].startswith("cpu")
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
        database.close()  # A fork must find no connection that is in use.
        handlers = {number: signal.getsignal(number) for number in _HANDLED}
        try:
            results = elastic_launch(config, rank_main)(asdict(order), train)
        except ChildFailedError:
            return _failure(Path(folder))
        except SignalException as ended:
            return GroupEnding(Status.INTERRUPTED, f"It was ended by {ended.sigval.name}.")
        finally:
            for number, handler in handlers.items():  # torch's stay where they were set
                signal.signal(number, handler)
    return GroupEnding(Status(results[0]["status"]))


def _failure(folder: Path) -> GroupEnding:
    """What the ranks that failed have left; where none has, one was killed."""
    left = [json.loads(path.read_bytes()) for path in sorted(folder.glob("rank-*.json"))]
    if not left:
        return GroupEnding(None)
    first = left[0]
    return GroupEnding(Status(first["status"]), first["error"], first["last_lines"])


def rank_main(values: dict[str, Any], train: Train) -> dict[str, str]:
    """Be one rank: join the others, train, and return the run's state."""
    order = RankOrder(**values | {"devices": tuple(values["devices"])})
    _end_with(order.parent)
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    torch.set_num_threads(order.threads)
    try:
        return {"status": _train(order, ranks, train).value}
    except NonFiniteLossError as failure:  # on every rank, in the same step
        _leave(order, ranks, Status.FAILED, str(failure), None)
    except StoreError as failure:
        _leave(order, ranks, Status.FAILED, str(failure), None)
    except tracking.TrackingError as failure:
        _leave(order, ranks, Status.INTERRUPTED, str(failure), None)
    except ValueError as failure:
        _leave(order, ranks, Status.FAILED, str(failure), None)
    except Exception as failure:
        # A rank that lost another one in an exchange has not failed itself: what the other left counts, and
        # where it left nothing it was killed.
        if _lost_another(failure):
            os._exit(1)
        sentence = full_stop(f"{type(failure).__name__}: {failure}".splitlines()[0])
        _leave(order, ranks, Status.FAILED, sentence, traceback.format_exc())
    sys.stderr.flush()
    os._exit(1)  # At once: others wait in an exchange for this rank, and are ended by the launcher.


def _lost_another(failure: Exception) -> bool:
    """Whether an exchange with the other ranks broke: gloo says so by name alone, NCCL by a class."""
    from torch import distributed

    return isinstance(failure, distributed.DistError) or (
        isinstance(failure, RuntimeError) and "gloo" in str(failure).lower()
    )


def _train(order: RankOrder, ranks: Ranks, train: Train) -> Status:
    from torch import distributed

    from cnnviz.datasets.spec import silent

    device = order.devices[ranks.rank % len(order.devices)]
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    try:
        with tracking.connect(order.address) as database:
            lease = Lease(order.run_id, order.attempt)
            return train(database, lease, silent, lambda: False, ranks, device)
    finally:
        with suppress(Exception):
            distributed.destroy_process_group()


def _leave(order: RankOrder, ranks: Ranks, status: Status, error: str, last_lines: str | None) -> None:
    path = Path(order.results) / f"rank-{ranks.rank}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        json.dumps({"status": status.value, "error": error, "last_lines": last_lines}), encoding="utf-8"
    )
    temporary.replace(path)


def _end_with(parent: int) -> None:
    """End when the worker does, however it ends: a rank alone would hold its device for ever."""
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
