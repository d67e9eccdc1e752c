"""Ranks of one run on several nodes: each worker process is one rank, started by an actor on its node.

Rank 0 listens at a free port of its node's own address and publishes it in the run's row, where the others
find it. All then join one process group (gloo on the CPU, NCCL for GPUs). Rank 0 records metrics,
checkpoints and the run's end. Another rank only records the end of a run that failed in itself, before it
leaves: the lease admits the first record, and rank 0 learns of the failure by its exchange breaking.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psutil
import torch
from torch import distributed
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.paths import home
from cnnviz.tracking import Database, Status
from cnnviz.tracking.store import StoreError
from cnnviz.training.metrics import NonFiniteLossError
from cnnviz.training.ranks import EXCHANGE_LIMIT, Ranks
from cnnviz.training.workers import worker
from cnnviz.training.workers.failures import failure_of, lost_exchange
from cnnviz.training.workers.launcher import LOST_RANK, Order

RENDEZVOUS_SECONDS = 600.0
"""Maximum time in which all ranks meet; nodes import torch meanwhile, possibly from a shared disk."""
POLL_SECONDS = 0.2
RENDEZVOUS = "rendezvous"
"""Key of rank 0's address in the worker's handle: `[host, port]`."""


class NoRendezvousError(Exception):
    """The ranks did not meet in time; the message is one sentence."""


def train_as_rank(database: Database, order: Order) -> int:
    """Train as one rank of a run, and record how the run ended; return the exit code of the process.

    The process should exit at once with the code: threads of a broken process group may still wait.

    Raises:
        TrackingError: The database is unavailable, or the lease is no longer valid.
    """
    try:
        status = _train(database, order)
    except Exception as error:
        if isinstance(error, tracking.TrackingError) and not isinstance(error, StoreError):
            raise
        if isinstance(error, NoRendezvousError):
            print(error, file=sys.stderr)
            if order.rank:  # Rank 0 knows who is missing.
                return LOST_RANK
            worker.end(database, order.lease, Status.FAILED, str(error))
            return 0
        # A loss that is no number is met by all ranks in the same step: rank 0 records it.
        if lost_exchange(error) or (order.rank and isinstance(error, NonFiniteLossError)):
            print(error, file=sys.stderr)
            return LOST_RANK
        failure = failure_of(error)
        worker.end(database, order.lease, failure.status, failure.error, failure.last_lines)
        return LOST_RANK if order.rank else 0
    if order.rank == 0:
        worker.end(database, order.lease, status)
    return 0


def _train(database: Database, order: Order) -> Status:
    device = order.devices
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
    torch.set_num_threads(1)  # As with several ranks on one node: a core for each.
    ranks = join(database, order)
    try:
        return worker.train(database, order.lease, silent, lambda: False, ranks, device)
    finally:
        with suppress(Exception):
            distributed.destroy_process_group()


def join(database: Database, order: Order) -> Ranks:
    """Meet the other ranks, and initialize the process group.

    Raises:
        NoRendezvousError: A rank is missing after `RENDEZVOUS_SECONDS`.
        StaleAttemptError: The lease is no longer valid.
    """
    deadline = time.monotonic() + RENDEZVOUS_SECONDS
    _use_interface(order.node)
    store = _listen(database, order) if order.rank == 0 else _connect(database, order, deadline)
    keys = [f"home/{rank}" for rank in range(order.world)]
    store.set(keys[order.rank], f"{socket.gethostname()}:{home()}")
    _wait_for(store, keys, order, deadline)
    homes = tuple(store.get(key).decode() for key in keys)
    backend = "cpu:gloo,cuda:nccl" if order.devices.startswith("cuda") else "gloo"
    distributed.init_process_group(
        backend, store=PrefixStore("group", store), rank=order.rank, world_size=order.world,
        timeout=EXCHANGE_LIMIT,
    )  # fmt: skip
    return Ranks(order.rank, order.world, homes)


def _listen(database: Database, order: Order) -> TCPStore:
    """Open rank 0's store at a free port of the node's address only, and publish it."""
    family = socket.AF_INET6 if ":" in order.node else socket.AF_INET
    listener = socket.create_server((order.node, 0), family=family, backlog=order.world + 8)
    port = listener.getsockname()[1]
    store = TCPStore(
        order.node, port, None, True, EXCHANGE_LIMIT, wait_for_workers=False,
        master_listen_fd=listener.detach(),
    )  # fmt: skip
    handle = tracking.get_run(database, order.run_id).worker or {}
    tracking.attach(database, order.lease, worker={**handle, RENDEZVOUS: [order.node, port]})
    return store


def _connect(database: Database, order: Order, deadline: float) -> TCPStore:
    """Connect to rank 0's store, once it is published."""
    address: list[object] = []

    def published() -> bool:
        run = tracking.get_run(database, order.run_id)
        if run.lease != order.lease or not run.active:
            raise tracking.StaleAttemptError("The run was claimed again, or has ended.")
        address[:] = (run.worker or {}).get(RENDEZVOUS) or []
        return bool(address)

    if not _poll(published, deadline):
        raise NoRendezvousError("Rank 0 published no address in time.")
    host, port = str(address[0]), int(str(address[1]))
    remaining = max(1.0, deadline - time.monotonic())
    try:
        store = TCPStore(host, port, None, False, timedelta(seconds=remaining))
    except distributed.DistError as error:
        raise NoRendezvousError(f"Rank 0 could not be reached at {host}:{port}: {error}") from error
    store.set_timeout(EXCHANGE_LIMIT)
    return store


def _wait_for(store: TCPStore, keys: list[str], order: Order, deadline: float) -> None:
    """Wait until all ranks have told their home."""
    if _poll(lambda: store.check(keys), deadline):
        return
    missing = [rank for rank, key in enumerate(keys) if not store.check([key])]
    who = f"{len(missing)} of its {order.world} processes" if len(missing) > 1 else "One of its processes"
    raise NoRendezvousError(
        f"{who} did not reach the first one on {socket.gethostname()} ({order.node}) within "
        f"{RENDEZVOUS_SECONDS:.0f} s; the nodes of the cluster have to reach each other at any port."
    )


def _poll(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _use_interface(address: str) -> None:
    """Have gloo and NCCL use the interface of the node's address, unless the environment names another.

    By default gloo resolves the host name, which on many systems is a loopback address.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(found.address.partition("%")[0] == address for found in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
            return
