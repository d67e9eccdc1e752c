"""A worker without torch, which is ready in a moment: what it does stands in the run's recipe as `task`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Lease, MetricWriter, Status

DEVICES = ("cpu", "cuda:0")
STEP_SECONDS = 0.01


def train(database: Database, lease: Lease) -> None:
    """Log until somebody asks for something."""
    tracking.begin(database, lease)
    pause, step = threading.Event(), 0
    with MetricWriter(database, lease, every=0.02, beat=0.05) as writer:
        while writer.command is None:
            step += 1
            writer.log("loss", 1 / step, step)
            pause.wait(STEP_SECONDS)
        asked = writer.command
    tracking.end(database, lease, Status.PAUSED if asked is Command.PAUSE else Status.STOPPED)


def finish(database: Database, lease: Lease) -> None:
    """Be done at once."""
    tracking.begin(database, lease)
    tracking.end(database, lease, Status.FINISHED)


def crash(database: Database, lease: Lease) -> None:
    """Print and end by a fault."""
    tracking.begin(database, lease)
    print("about to touch memory that is not ours", file=sys.stderr, flush=True)
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(database: Database, lease: Lease) -> None:
    """End with an exit code and without a word to the database."""
    tracking.begin(database, lease)
    sys.exit("the kernel module is not loaded")


def lose(database: Database, lease: Lease) -> None:
    """End as a worker does whose database is gone."""
    tracking.begin(database, lease)
    print("The run database cannot be used.", file=sys.stderr, flush=True)
    sys.exit(75)


def chat(database: Database, lease: Lease) -> None:
    """Print, and be done."""
    print("all is well, and this is of no interest", file=sys.stderr, flush=True)
    finish(database, lease)


def prepare(database: Database, lease: Lease) -> None:
    """Never begin."""
    signal.pause()


def hang(database: Database, lease: Lease) -> None:
    """Begin, and give no sign of life."""
    tracking.begin(database, lease)
    signal.pause()


TASKS: dict[str, Callable[[Database, Lease], None]] = {
    "train": train, "finish": finish, "chat": chat, "crash": crash, "leave": leave, "lose": lose,
    "prepare": prepare, "hang": hang,
}  # fmt: skip


def main() -> None:
    """Follow one order after another."""
    os.write(1, json.dumps({"devices": DEVICES}).encode() + b"\n")
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)  # `Order` would be a second of imports.
        with tracking.connect(order["address"] or None) as database:
            task = TASKS[tracking.get_run(database, order["run_id"]).recipe["task"]]
            task(database, Lease(order["run_id"], order["attempt"]))
        os.write(1, b'{"idle": true}\n')


if __name__ == "__main__":
    main()
