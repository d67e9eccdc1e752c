"""How long a run waits for its first point right after a short one, and where a worker is started for it.

A supervisor and its worker, as the app has them, without pages. *Reused*: a short run has just ended, and its
worker takes the next. *Started*: there is no worker when the run is queued, as before workers were reused.
From the call that queues the run to the first value of its loss in the run database: seconds that passed, and
seconds of processor time that the worker took, which on a busy machine is what can be compared.

    python -m benchmarks.first_point [--data FOLDER] [--repeat N]

FOLDER holds `mnist`; without it the largest data are the 10,000 generated shapes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.machine import describe
from cnnviz import datasets, tracking
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.launcher import PROCESS
from tests.training.workers.making import become, process_of, supervising, until

SHORT = Recipe(name="short", model="lenet5", dataset="digits", epochs=1, limit=200, device="cpu")
ENDED = (Status.FINISHED, Status.STOPPED)
AIM = 1.0
"""Seconds to the first point of a reused worker on an idle machine."""


class Wait(NamedTuple):
    """What it took to the first point, in seconds."""

    wall: float
    processor: float
    """Of the worker, user and system, its threads included."""


def reused(database: Database, recipe: Recipe) -> Wait:
    """Queue the run when a short one has just ended; its worker lives, and waits for work."""
    short = enqueue(database, SHORT).id
    become(database, short, *ENDED)
    worker = process_of(database, short)
    spent, start = _processor(worker), time.perf_counter()
    run = enqueue(database, recipe).id
    wall = _first_point(database, run, start)
    found = Wait(wall, _processor(worker) - spent)
    if process_of(database, run).pid != worker.pid:
        raise SystemExit("The run had another worker; nothing was measured.")
    _stop(database, run)
    return found


def started(database: Database, recipe: Recipe) -> Wait:
    """Queue the run where no worker is; what its worker takes from its birth counts."""
    start = time.perf_counter()
    run = enqueue(database, recipe).id
    with supervising(database, PROCESS):
        wall = _first_point(database, run, start)
        found = Wait(wall, _processor(process_of(database, run)))
        _stop(database, run)
    return found


def _first_point(database: Database, run: int, start: float) -> float:
    until(lambda: bool(tracking.read_metrics(database, run, 0, 1).rows), "there is a point")
    return time.perf_counter() - start


def _stop(database: Database, run: int) -> None:
    tracking.request(database, run, Command.STOP)
    become(database, run, *ENDED)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _line(name: str, waits: Sequence[Wait]) -> str:
    wall, processor = ([getattr(wait, kind) for wait in waits] for kind in ("wall", "processor"))
    return (
        f"{name:36} {statistics.median(wall):7.2f} {min(wall):7.2f} {max(wall):7.2f}"
        f" {statistics.median(processor):10.2f} {min(processor):7.2f} {max(processor):7.2f} {len(waits):4}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    names = ["digits", "shapes", *([str(given.data / "mnist")] if given.data else [])]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CNNVIZ_HOME"] = folder
        print(describe("torch"), "\n")
        columns = ("wall", "least", "most", "processor", "least", "most", "n")
        print(f"{'':36}", "{:>7} {:>7} {:>7} {:>10} {:>7} {:>7} {:>4}".format(*columns))
        for name in names:
            title = datasets.load(name).title
            recipe = Recipe(model="lenet5", dataset=name, epochs=100, device="cpu")
            with tracking.connect(f"sqlite:///{folder}/runs.sqlite") as database:
                cold = [started(database, recipe) for _ in range(given.repeat)]
                with supervising(database, PROCESS):
                    warm = [reused(database, recipe) for _ in range(given.repeat)]
            print(_line(f"{title}: a worker is started", cold))
            print(_line(f"{title}: right after a short run", warm))
            ratio = [statistics.median(measured.processor for measured in waits) for waits in (cold, warm)]
            print(f"{'':36} {ratio[0] / ratio[1]:.1f}× less processor time; aim {AIM:g} s, idle", flush=True)


if __name__ == "__main__":
    main()
