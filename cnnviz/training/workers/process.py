"""A worker process: makes itself ready, and trains one run after another as they are ordered.

    python -m cnnviz.training.workers.process [--once]

Each line of its input is an `Order`; the end of its input means that nobody needs it. Once it is ready it
tells `{"devices": […]}` on its output, and after each run, with all that the run left behind undone,
`{"idle": true}`. After a run that failed, after `MOST_RUNS`, or where something cannot be undone, it ends
instead and another takes its place. With `--once` it does not make itself ready first, ends after one run,
and with its parent. Its exit code is 0 where the run database knows how the run ended.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import itertools
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnviz import threads

NICENESS = 5
"""Pages go first: between two processes that both want a core, this one gets a quarter of it."""
MOST_RUNS = 100
"""After so many a process is replaced, whatever it may have gathered that nobody looks for."""
ONCE = "--once"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
_WELL = frozenset(("finished", "stopped", "paused"))
_GROUP = Path("/proc/self/autogroup")
"""Where Linux weighs sessions against each other: within one alone does niceness count."""


def main(once: bool = False) -> int:
    """Do all of it; returns the exit code."""
    faulthandler.enable()
    if once:
        _end_with_parent()
    threads.share()  # has to come before torch is imported
    output = os.dup(1)
    os.dup2(2, 1)  # What libraries print belongs to the run, or to nobody.
    from cnnviz.training.workers import process_state
    from cnnviz.training.workers.process_state import ProcessState

    try:
        if not once:
            process_state.up()
    except Exception:  # a GPU that is full now may be free later; the run will tell
        traceback.print_exc()
    gc.collect()
    fresh = ProcessState.capture()
    _tell(output, {"devices": process_state.devices()})
    for done in itertools.count(1):
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            return 0
        _step_back()
        code, went_well = _follow(line)
        if once or code != 0 or not went_well or done == MOST_RUNS or not fresh.restore():
            return code
        _tell(output, {"idle": True})
    return 0


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however it does: nobody else would."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _tell(output: int, message: dict[str, Any]) -> None:
    with suppress(OSError):  # Its keeper may have been killed.
        os.write(output, json.dumps(message).encode() + b"\n")


def _step_back() -> None:
    """Leave the cores to pages where they want them; not while somebody may wait for it to be ready."""
    if hasattr(os, "setpriority"):  # of the group: `nice` would leave out the threads that torch has begun
        os.setpriority(os.PRIO_PGRP, 0, NICENESS)
    with suppress(OSError):  # other systems, and kernels without it
        _GROUP.write_text(str(NICENESS))


def _follow(line: bytes) -> tuple[int, bool]:
    """Train the run; returns the exit code, and whether it left the process in a known state."""
    from cnnviz import tracking
    from cnnviz.datasets.spec import silent
    from cnnviz.training.workers.launcher import NO_DATABASE, NO_ROOM, Order
    from cnnviz.training.workers.worker import work

    order = Order.read(line)
    try:
        with tracking.connect(order.address or None) as database:
            status = work(database, order.lease, silent, lambda: False, order.devices)
            return 0, status in _WELL and tracking.get_run(database, order.run_id).error is None
    except tracking.StaleAttemptError as error:  # The run went on, or was ended, without this worker.
        print(error, file=sys.stderr)
    except tracking.TrackingError as error:
        print(error, file=sys.stderr)
        return (NO_ROOM if isinstance(error, tracking.DatabaseFullError) else NO_DATABASE), False
    return 0, False


if __name__ == "__main__":
    sys.exit(main(once=ONCE in sys.argv[1:]))
