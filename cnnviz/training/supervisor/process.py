"""A worker process: makes itself ready, waits for an order, trains one run, and ends.

    python -m cnnviz.training.supervisor.process

Its input is one line, an `Order`; the end of its input means that nobody needs it. Once it is ready it tells
`{"devices": […]}` on its output. Its exit code is 0 where the run database knows how the run ended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from cnnviz import threads

NICENESS = 5
"""Pages go first: between two processes that both want a core, this one gets a quarter of it."""
_GROUP = Path("/proc/self/autogroup")
"""Where Linux weighs sessions against each other: within one alone does niceness count."""


def main() -> int:
    """Do all of it; returns the exit code."""
    faulthandler.enable()
    threads.share()  # has to come before torch is imported
    from cnnviz.training.supervisor import warm

    try:
        warm.up()
    except Exception:  # a GPU that is full now may be free later; the run will tell
        traceback.print_exc()
    os.write(1, json.dumps({"devices": warm.devices()}).encode() + b"\n")
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0
    _step_back()
    os.dup2(2, 1)  # What is printed from here on belongs to the run.
    return _follow(line)


def _step_back() -> None:
    """Leave the cores to pages where they want them; not while somebody may wait for it to be ready."""
    if hasattr(os, "setpriority"):  # of the group: `nice` would leave out the threads that torch has begun
        os.setpriority(os.PRIO_PGRP, 0, NICENESS)
    with suppress(OSError):  # other systems, and kernels without it
        _GROUP.write_text(str(NICENESS))


def _follow(line: bytes) -> int:
    from cnnviz import tracking
    from cnnviz.datasets.spec import silent
    from cnnviz.training.supervisor.launcher import NO_DATABASE, NO_ROOM, Order
    from cnnviz.training.worker import work

    order = Order.read(line)
    try:
        with tracking.connect(order.address) as database:
            work(database, order.lease, silent, lambda: False)
    except tracking.StaleAttemptError as error:  # The run went on, or was ended, without this worker.
        print(error, file=sys.stderr)
    except tracking.TrackingError as error:
        print(error, file=sys.stderr)
        return NO_ROOM if isinstance(error, tracking.DatabaseFullError) else NO_DATABASE
    return 0


if __name__ == "__main__":
    sys.exit(main())
