"""How far an experiment has come, and how long the rest will take."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.experiments.experiment import Cell, Experiment
from cnnviz.experiments.running import Stored
from cnnviz.tracking import Database, RunSummary, Status
from cnnviz.training.estimate import estimate

ENOUGH = 0.05
"""Share of a run after which its own speed says how long the rest of it takes."""


@dataclass(frozen=True)
class Progress:
    """Runs that ended well, of how many, and what is left."""

    done: int
    total: int
    going: Cell | None
    """The run that trains now."""
    waiting: int
    """Runs that train or wait."""
    broken: int
    """Runs that are missing or ended early."""
    share: float
    """Of the whole experiment, in [0, 1]."""
    seconds_left: float | None
    """Of training, one run after another; None where nobody can know."""


def progress(database: Database, stored: Stored) -> Progress:
    """How far the experiment is; time left from its own finished runs, else from earlier runs here."""
    runs = stored.runs
    done = [run for run in runs.values() if run is not None and run.status is Status.FINISHED]
    waiting = stored.waiting()
    going = next((cell for cell in waiting if (run := runs[cell]) is not None and run.active), None)
    left = [seconds_of(database, stored, cell) for cell in waiting]
    parts = [_share(run) for run in runs.values() if run is not None]
    return Progress(
        done=len(done),
        total=len(runs),
        going=going,
        waiting=len(waiting),
        broken=len(stored.broken()),
        share=sum(parts) / len(runs),
        seconds_left=None if None in left else sum(filter(None, left)),
    )


def expected(database: Database, experiment: Experiment) -> tuple[float | None, str]:
    """About how many seconds the whole experiment takes on its device, and a sentence on how that is known.

    None where nobody can know. Raises `ValueError` for a network that cannot be.
    """
    each = [estimate(database, experiment.recipe(name)) for name in experiment.names]
    known = [found.seconds for found in each if found.seconds is not None]
    total = sum(known) * len(experiment.seeds) if len(known) == len(each) else None
    return total, each[0].basis


def seconds_of(database: Database, stored: Stored, cell: Cell) -> float | None:
    """About how long the rest of one run takes; None where nobody can know."""
    run = stored.runs[cell]
    share = _share(run)
    if run is not None and share >= ENOUGH:
        return run.seconds * (1 - share) / share
    alike = [
        other.seconds
        for (arm, _), other in stored.runs.items()
        if arm == cell.arm and other is not None and other.status is Status.FINISHED
    ]
    if alike:
        return sum(alike) / len(alike)
    return estimate(database, stored.experiment.recipe(*cell)).seconds


def _share(run: RunSummary | None) -> float:
    if run is None or not run.total_epochs:
        return 0.0
    return 1.0 if run.status is Status.FINISHED else min(run.epoch / run.total_epochs, 1.0)
