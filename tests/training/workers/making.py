"""Supervisors and runs for tests, and waiting for what becomes of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from cnnviz import tracking
from cnnviz.tracking import Database, Run, Status
from cnnviz.training.workers import LocalLauncher, Supervisor

SOON = 180.0
LIGHT = (sys.executable, "-m", "tests.training.workers.light_worker")


def until(condition: Callable[[], bool], what: str, seconds: float = SOON) -> None:
    """Poll until the condition holds, ever more slowly down to every 0.1 s; fail when it does not in time.

    A poll of the database takes some 4 ms of a core, which the workers that are waited for need themselves.
    """
    deadline, pause, interval = time.monotonic() + seconds, threading.Event(), 0.02
    while not condition():
        assert time.monotonic() < deadline, f"waited for {seconds:g} s until {what}"
        pause.wait(interval)
        interval = min(0.1, 1.2 * interval)


def become(database: Database, run_id: int, *statuses: Status) -> Run:
    """Wait for a run to be in one of these states."""
    names = " or ".join(statuses)
    until(lambda: tracking.get_run(database, run_id).status in statuses, f"run {run_id} is {names}")
    return tracking.get_run(database, run_id)


def end_of(database: Database, run_id: int, seconds: float = SOON) -> Run:
    """Wait for the end of a run, however long it takes, as long as it trains on."""
    while True:
        step = tracking.get_run(database, run_id).step

        def moved() -> bool:
            run = tracking.get_run(database, run_id)
            return run.step > step or not (run.active or run.status is Status.QUEUED)  # noqa: B023

        until(moved, f"run {run_id} trains on or has ended", seconds)
        run = tracking.get_run(database, run_id)
        if not (run.active or run.status is Status.QUEUED):
            return run


def queue(database: Database, task: str, device: str = "cpu") -> int:
    """A run for the light worker."""
    recipe = {"task": task}
    return tracking.create_run(database, recipe, model="lenet5", dataset="digits", seed=0, device=device).id


@contextmanager
def supervising(database: Database, command: tuple[str, ...] = LIGHT) -> Iterator[LocalLauncher]:
    """A supervisor of this process; runs that are left at the end go on."""
    launcher = LocalLauncher(command)
    address = database.url.render_as_string(hide_password=False)
    supervisor = Supervisor(address, launcher, tick=0.05)
    supervisor.start()
    try:
        yield launcher
    finally:
        supervisor.stop()


def process_of(database: Database, run_id: int) -> psutil.Process:
    """The process that has a run."""
    pid = tracking.get_run(database, run_id).worker_pid
    assert pid is not None
    return psutil.Process(pid)


def workers() -> list[int]:
    """The workers of this process's supervisors: its parent processes' children."""
    found = []
    for parent in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any(part.endswith("parent_process.py") for part in parent.cmdline()):
                found += [worker.pid for worker in parent.children()]
    return [pid for pid in found if not gone(pid)]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
