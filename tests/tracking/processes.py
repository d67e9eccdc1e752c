"""What the tests' processes do: `python -m tests.tracking.processes TASK ADDRESS …`.

Each prints `ready` once its imports are done and goes on when a line arrives, so that all start together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cnnviz import tracking
from cnnviz.tracking import Lease, MetricWriter


def migrate(address: str) -> None:
    """Open the database, which has no tables yet."""
    tracking.connect(address).close()
    print("migrated")


def claim(address: str, device: str) -> None:
    """Claim and finish runs until none waits; print what was got."""
    database = tracking.connect(address)
    waiting = {tracking.Status.QUEUED, tracking.Status.STARTING, tracking.Status.RUNNING}
    while tracking.list_runs(database, statuses=waiting, metrics=[]):
        lease = tracking.claim(database, device, "here")
        if lease is not None:
            tracking.begin(database, lease)
            tracking.end(database, lease, tracking.Status.FINISHED)
            print(lease.run_id)


def write(address: str, run_id: str, attempt: str) -> None:
    """Log without end, three names a step, and print the steps that are committed."""
    database = tracking.connect(address)
    with MetricWriter(database, Lease(int(run_id), int(attempt)), every=0.001) as log:
        step = 0
        while True:
            for _ in range(200):
                step += 1
                log.log_all({"a": step, "b": -step, "c": step / 2}, step)
            log.flush()
            print(step, flush=True)


def read(address: str, run_id: str, last: str) -> None:
    """Four readers follow a run until step `last`; print how many rows each saw, in order, without gap."""
    database = tracking.connect(address)
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(lambda _: _follow(database, int(run_id), int(last)), range(4))))


def _follow(database: tracking.Database, run_id: int, last: int) -> int:
    cursor, seen = 0, 0
    while seen < last:
        page = tracking.read_metrics(database, run_id, cursor, 1000)
        cursor = page.cursor
        for row in page.rows:
            if row.step != seen + 1 or row.value != row.step:
                raise SystemExit(f"step {row.step} came after {seen}")
            seen = row.step
    return seen


TASKS: dict[str, Callable[..., None]] = {"migrate": migrate, "claim": claim, "write": write, "read": read}

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    TASKS[sys.argv[1]](*sys.argv[2:])
