"""The runs of an experiment one after another in the foreground."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnviz.cli.foreground import WATCH_SECONDS, interruptible, try_on
from cnnviz.cli.progress import Bar

if TYPE_CHECKING:
    from cnnviz.datasets import Progress, Step
    from cnnviz.experiments import Cell, Stored
    from cnnviz.tracking import Database


def go_through(database: Database, experiment_id: int) -> bool:
    """Train what has yet to be trained, a run after the other; return whether Ctrl-C ended it.

    A run is queued when its turn comes, so that what a Ctrl-C leaves is not trained by somebody else later.
    """
    from cnnviz import experiments

    with interruptible() as interrupted, Bar() as bar:
        stored = experiments.get(database, experiment_id)
        for cell in [*stored.waiting(), *stored.broken()]:
            if interrupted():
                return True
            _train(database, experiments.get(database, experiment_id), cell, bar, interrupted)
        return interrupted()


def _train(database: Database, stored: Stored, cell: Cell, bar: Bar, interrupted: Callable[[], bool]) -> None:
    """Train one arm with a seed; wait where another run has its device."""
    from cnnviz import tracking
    from cnnviz.datasets import Step
    from cnnviz.experiments.running import cell_run

    waits = cell in stored.waiting() and stored.runs[cell]
    number = waits.id if waits else cell_run(database, stored, cell)
    told = _telling(_stage(database, stored, cell), bar)
    while not interrupted():
        ended = try_on(database, tracking.get_run(database, number), told, interrupted)
        if ended is not tracking.Status.QUEUED:
            return
        bar(Step("Waiting for the device", 0, None, ""))
        time.sleep(WATCH_SECONDS)
    tracking.request(database, number, tracking.Command.STOP)


def _stage(database: Database, stored: Stored, cell: Cell) -> str:
    """`Run 3 of 10, about 4 min for all that is left: unit, seed 1`."""
    from cnnviz.experiments.progress import seconds_of
    from cnnviz.figures.measures import duration

    cells = list(stored.experiment.cells())
    left = [seconds_of(database, stored, other) for other in [*stored.waiting(), *stored.broken()]]
    known = [seconds for seconds in left if seconds is not None]
    all_left = f", about {duration(sum(known))} for all that is left" if len(known) == len(left) else ""
    return f"Run {cells.index(cell) + 1} of {len(cells)}{all_left}: {cell.arm}, seed {cell.seed}"


def _telling(stage: str, bar: Bar) -> Progress:
    """A progress callback that names the run in place of `Training`."""

    def tell(step: Step) -> None:
        bar(step._replace(stage=stage) if step.stage == "Training" else step)

    return tell
