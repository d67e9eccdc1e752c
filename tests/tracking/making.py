"""Runs in the states that tests need."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Lease, Run, Status
from cnnviz.tracking.metrics import Value, append

RECIPE = {"model": "lenet5", "dataset": "digits", "epochs": 2}
HOST = "here"


def create(database: Database, device: str = "cpu", name: str = "") -> Run:
    return tracking.create_run(
        database, RECIPE, model="lenet5", dataset="digits", seed=7, device=device, name=name
    )


def claim(database: Database, device: str = "cpu", host: str = HOST) -> Lease:
    lease = tracking.claim(database, device, host)
    assert lease is not None
    return lease


def begin(database: Database, device: str = "cpu", from_step: int = tracking.FROM_SCRATCH) -> Lease:
    """A run that is running, and its lease."""
    create(database, device)
    lease = claim(database, device)
    tracking.begin(database, lease, from_step)
    return lease


def resume(database: Database, lease: Lease, from_step: int, device: str = "cpu") -> Lease:
    """The worker is killed; another goes on from a checkpoint."""
    tracking.end(database, lease, Status.INTERRUPTED)
    tracking.request(database, lease.run_id, Command.RESUME)
    new = claim(database, device)
    tracking.begin(database, new, from_step)
    return new


def log(database: Database, lease: Lease, name: str, points: Iterable[tuple[int, float]]) -> None:
    append(database, lease, [Value(name, step, step / 10, value, time.time()) for step, value in points])


def bring_to(database: Database, status: Status, device: str = "cpu") -> int:
    """A run in any state, brought there as the product does."""
    run_id = create(database, device).id
    if status is Status.QUEUED:
        return run_id
    lease = claim(database, device)
    if status is Status.STARTING:
        return run_id
    tracking.begin(database, lease)
    if status is Status.STOPPING:
        tracking.request(database, run_id, Command.STOP)
    elif status is not Status.RUNNING:
        tracking.end(database, lease, status)
    return run_id
