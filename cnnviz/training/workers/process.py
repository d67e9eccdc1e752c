"""Worker process: warms up, and trains one run after another as ordered.

    python -m cnnviz.training.workers.process [--once]

Each line of stdin is an `Order`; at the end of stdin an idle worker ends. After the warm-up it writes
`{"devices": […]}` to stdout, and after each run, with the process state restored, `{"idle": true}`. After a
failed run, after `MAX_RUNS`, or if the state cannot be restored, it ends instead and is replaced. With
`--once` it skips the warm-up, ends after one run, and ends with its parent. Its exit code is 0 if the run
database has the run's final status.
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
from typing import TYPE_CHECKING, Any

from cnnviz import threads

if TYPE_CHECKING:
    from cnnviz.training.workers.launcher import Order

NICENESS = 5
"""Pages have priority: of two processes competing for a core, this one gets a quarter."""
MAX_RUNS = 100
"""Runs after which a process is replaced, in case it has accumulated unknown state."""
ONCE = "--once"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
_WELL = frozenset(("finished", "stopped", "paused"))
_GROUP = Path("/proc/self/autogroup")
"""Linux's scheduling weight of sessions; niceness applies only within one."""


def main(once: bool = False) -> int:
    """Run the worker; return the exit code."""
    faulthandler.enable()
    if once:
        _end_with_parent()
    threads.set_passive_wait()  # Before torch is imported.
    output = os.dup(1)
    os.dup2(2, 1)  # Output of libraries goes to the run's log, not into the protocol.
    from cnnviz.training.workers import process_state
    from cnnviz.training.workers.process_state import ProcessState

    try:
        if not once:
            process_state.warm_up()
    except Exception:  # A GPU that is full now may be free later; the run will report it.
        traceback.print_exc()
    gc.collect()
    fresh = ProcessState.capture()
    _tell(output, {"devices": process_state.devices()})
    for run_count in itertools.count(1):
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            return 0
        _lower_priority()
        code, went_well = _run_order(line)
        if once or code != 0 or not went_well or run_count == MAX_RUNS or not fresh.restore():
            return code
        _tell(output, {"idle": True})
    return 0


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _tell(output: int, message: dict[str, Any]) -> None:
    with suppress(OSError):  # The parent process may have been killed.
        os.write(output, json.dumps(message).encode() + b"\n")


def _lower_priority() -> None:
    """Lower the CPU priority below the pages'; not before the warm-up, for which somebody may wait."""
    if hasattr(os, "setpriority"):  # For the group: `nice` would not affect torch's existing threads.
        os.setpriority(os.PRIO_PGRP, 0, NICENESS)
    with suppress(OSError):  # Other systems, and kernels without autogroups.
        _GROUP.write_text(str(NICENESS))


def _run_order(line: bytes) -> tuple[int, bool]:
    """Train the run; return the exit code, and whether the process is in a known state afterwards."""
    from cnnviz.training.workers.launcher import Order

    order = Order.read(line)
    code, went_well = _train(order)
    if order.world > 1:
        sys.stderr.flush()
        os._exit(code)  # A thread of a broken process group may wait for another rank forever.
    return code, went_well


def _train(order: Order) -> tuple[int, bool]:
    from cnnviz import tracking
    from cnnviz.datasets.spec import silent
    from cnnviz.training.workers.launcher import NO_DATABASE, NO_ROOM
    from cnnviz.training.workers.worker import work

    try:
        with tracking.connect(order.address or None) as database:
            if order.world > 1:
                from cnnviz.training.workers.multinode import train_as_rank

                return train_as_rank(database, order), False
            status = work(database, order.lease, silent, lambda: False, order.devices)
            return 0, status in _WELL and tracking.get_run(database, order.run_id).error is None
    except tracking.StaleAttemptError as error:  # The run was claimed again, or has ended.
        print(error, file=sys.stderr)
    except tracking.TrackingError as error:
        print(error, file=sys.stderr)
        return (NO_ROOM if isinstance(error, tracking.DatabaseFullError) else NO_DATABASE), False
    return 0, False


if __name__ == "__main__":
    sys.exit(main(once=ONCE in sys.argv[1:]))
