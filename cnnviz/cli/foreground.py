"""Runs in the foreground of a command: trained here, or watched where a supervisor was quicker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.datasets import Progress
    from cnnviz.tracking import Database, Run, Status

WATCH_SECONDS = 0.25
"""How often a run is looked at that another process trains."""


def work_on(database: Database, run: Run, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """Train a run that waits, or watch it where a supervisor was quicker; return how it ended.

    Raises `ValueError` where its device is busy with another run; it is stopped then, and kept.
    """
    from cnnviz import tracking

    status = try_on(database, run, progress, interrupted)
    if status is tracking.Status.QUEUED:
        tracking.request(database, run.id, tracking.Command.STOP)
        raise ValueError(
            f"{run.device} is busy with another run; run {run.id} is kept: `cnnviz train --resume {run.id}`."
        )
    return status


def try_on(database: Database, run: Run, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """As `work_on`, but leaves the run in the queue, and says so, where its device is busy."""
    from cnnviz import tracking
    from cnnviz.training.supervisor import identity
    from cnnviz.training.worker import work

    lease = tracking.claim(database, run.device, only=run.id)
    if lease is None:
        if tracking.get_run(database, run.id).status is tracking.Status.QUEUED:
            return tracking.Status.QUEUED
        return _watch(database, run.id, progress, interrupted)
    tracking.attach(database, lease, os.getpid(), identity.started(os.getpid()))
    return work(database, lease, progress, interrupted)


def _watch(database: Database, run_id: int, progress: Progress, interrupted: Callable[[], bool]) -> Status:
    """Show what another process trains, until it ends; Ctrl-C stops it."""
    from cnnviz import tracking
    from cnnviz.datasets import Step

    asked = False
    while (run := tracking.get_run(database, run_id)).active:
        progress(Step("Training", run.step, run.total_steps, "steps"))
        if interrupted() and not asked:
            tracking.request(database, run_id, tracking.Command.STOP)
            asked = True
        time.sleep(WATCH_SECONDS)
    return run.status


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish that is heard between steps; a second one is a Ctrl-C as usual."""
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        heard.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGINT, before)
