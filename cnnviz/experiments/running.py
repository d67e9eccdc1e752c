"""Experiments in the run database: queue their runs, extend and stop them, and estimate the time left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from cnnviz import datasets, tracking
from cnnviz.experiments.experiment import Cell, Experiment
from cnnviz.tracking import Command, Database, RunSummary, Status
from cnnviz.training.estimate import estimate
from cnnviz.training.queue import enqueue
from cnnviz.training.recipe import spec_for

MAX_AT_ONCE = 30
"""Maximum number of runs queued without confirmation."""
LONGEST_SECONDS = 24 * 3600.0
"""Maximum total duration of runs queued without confirmation."""


class SavedExperiment(NamedTuple):
    """An experiment in the run database."""

    id: int
    experiment: Experiment
    created: float
    runs: dict[Cell, RunSummary | None]
    """Run of every condition and seed; None if there is none, or it is deleted."""
    owner_id: int | None
    """Owner of the experiment; it is theirs to queue, extend and stop."""

    def waiting(self) -> list[Cell]:
        """Return the cells whose run is queued or active, seed by seed."""
        return [cell for cell in self.experiment.cells() if _goes_on(self.runs[cell])]

    def broken(self) -> list[Cell]:
        """Return the cells without a run, or whose run ended early, seed by seed."""
        return [cell for cell in self.experiment.cells() if _broken(self.runs[cell])]


def start(database: Database, experiment: Experiment) -> int:
    """Save the experiment and queue its runs, seed by seed; return its id.

    Nothing is written if an error is raised.

    Raises:
        ValueError: A model or data set does not exist.
        QueueFullError: The queue cannot hold all runs.
    """
    tracking.require_queue_capacity(database, len(list(experiment.cells())))
    number = save(database, experiment)
    queue(database, number)
    return number


def save(database: Database, experiment: Experiment) -> int:
    """Save the experiment without queuing runs; return its id. Raises as `start` does."""
    _check(experiment)
    return tracking.create_experiment(database, experiment.name, experiment.write(), experiment.cells())


def queue(database: Database, experiment_id: int) -> list[int]:
    """Queue missing runs and resume runs that ended early; return the ids of those runs.

    Raises:
        NoSuchExperimentError: There is no such experiment.
        QueueFullError: The queue cannot hold all of them; nothing is queued.
    """
    stored = get(database, experiment_id)
    missing = stored.broken()
    tracking.require_queue_capacity(database, len(missing))
    return [cell_run(database, stored, cell) for cell in missing]


def needs_confirmation(runs: int, seconds: float | None) -> bool:
    """Return whether queuing so many runs, of this total duration, requires confirmation."""
    return runs > MAX_AT_ONCE or (seconds is not None and seconds > LONGEST_SECONDS)


def cell_run(database: Database, stored: SavedExperiment, cell: Cell) -> int:
    """Queue or resume the run of a condition and seed; return the run's id."""
    run = stored.runs[cell]
    if run is not None:
        tracking.request(database, run.id, Command.RESUME)
        return run.id
    new_run = enqueue(database, stored.experiment.recipe(*cell))
    tracking.update_run(database, new_run.id, tags=[tag(stored.id)])
    tracking.assign_run(database, stored.id, *cell, new_run.id)
    return new_run.id


def extend(database: Database, experiment_id: int, seeds: int) -> list[int]:
    """Run every condition with `seeds` more seeds; return the ids of the new runs.

    Raises:
        NoSuchExperimentError: There is no such experiment.
        ValueError: Too many seeds, or the queue cannot hold all runs.
    """
    stored = get(database, experiment_id)
    old = stored.experiment
    tracking.require_queue_capacity(database, seeds * len(old.names) + len(stored.broken()))
    unused_seeds = (seed for seed in range(len(old.seeds) + seeds) if seed not in old.seeds)
    added = [seed for seed, _ in zip(unused_seeds, range(seeds), strict=False)]
    extended = Experiment.of(**{**dict(old), "seeds": (*old.seeds, *added)})
    cells = [Cell(name, seed) for seed in added for name in extended.names]
    tracking.extend_experiment(database, experiment_id, extended.write(), cells)
    return queue(database, experiment_id)


def stop(database: Database, experiment_id: int) -> None:
    """Stop the active and queued runs of an experiment; checkpoints are kept, and `queue` resumes them."""
    stored = get(database, experiment_id)
    # Queued runs first, so that none of them starts when an active one has stopped.
    unfinished = sorted(
        (run for cell in stored.waiting() if (run := stored.runs[cell])), key=lambda run: run.active
    )
    for run in unfinished:
        with suppress(tracking.WrongStateError):  # Ended concurrently.
            tracking.request(database, run.id, Command.STOP)


def get(database: Database, experiment_id: int) -> SavedExperiment:
    """Return an experiment with its runs; raise `NoSuchExperimentError`."""
    return _with_runs(database, [tracking.get_experiment(database, experiment_id)])[0]


def list_all(database: Database) -> list[SavedExperiment]:
    """Return all experiments with their runs, newest first."""
    return _with_runs(database, tracking.list_experiments(database))


def tag(experiment_id: int) -> str:
    """Return the tag of an experiment's runs in the list of runs."""
    return f"experiment {experiment_id}"


def _with_runs(database: Database, stored: Sequence[tracking.StoredExperiment]) -> list[SavedExperiment]:
    outcomes = []
    for entry in stored:
        experiment = Experiment.read(entry.body)
        run_ids = {Cell(slot.arm, slot.seed): slot.run_id for slot in tracking.slots(database, entry.id)}
        ids = [run_id for run_id in run_ids.values() if run_id is not None]
        runs = {run.id: run for run in tracking.list_runs(database, ids=ids)} if ids else {}
        cells = {cell: runs.get(run_ids.get(cell) or 0) for cell in experiment.cells()}
        outcomes.append(SavedExperiment(entry.id, experiment, entry.created, cells, entry.owner_id))
    return outcomes


def _check(experiment: Experiment) -> None:
    for name in experiment.names:
        recipe = experiment.recipe(name)
        spec_for(recipe)
        datasets.check(recipe.dataset)


def _goes_on(run: RunSummary | None) -> bool:
    return run is not None and (run.active or run.status is Status.QUEUED)


def _broken(run: RunSummary | None) -> bool:
    return run is None or not (run.active or run.status in (Status.QUEUED, Status.FINISHED))


# Progress and remaining time.

ENOUGH = 0.05
"""Fraction of a run after which its remaining time is extrapolated from its own speed."""


@dataclass(frozen=True)
class Progress:
    """Progress of an experiment in runs, and the estimated time left."""

    done: int
    total: int
    going: tuple[Cell, ...]
    """Cells of the active runs: on several devices, or on a cluster, there are several."""
    waiting: int
    """Number of queued or active runs."""
    broken: int
    """Number of runs that are missing or ended early."""
    share: float
    """Completed fraction of the whole experiment, in [0, 1]."""
    seconds_left: float | None
    """Remaining time, with as many runs at once as are active now; None if unknown."""


def progress(database: Database, stored: SavedExperiment) -> Progress:
    """Return the progress of an experiment; time left from its own finished runs, else from earlier runs."""
    runs = stored.runs
    finished = [run for run in runs.values() if run is not None and run.status is Status.FINISHED]
    waiting = stored.waiting()
    active = tuple(cell for cell in waiting if (run := runs[cell]) is not None and run.active)
    remaining = [seconds_of(database, stored, cell) for cell in waiting]
    known = [seconds for seconds in remaining if seconds is not None]
    # At once or not, the longest of them takes its time.
    seconds_left = max(sum(known) / max(1, len(active)), max(known, default=0.0))
    fractions = [_fraction(run) for run in runs.values() if run is not None]
    return Progress(
        done=len(finished),
        total=len(runs),
        going=active,
        waiting=len(waiting),
        broken=len(stored.broken()),
        share=sum(fractions) / len(runs),
        seconds_left=seconds_left if len(known) == len(remaining) else None,
    )


def expected(database: Database, experiment: Experiment) -> tuple[float | None, str]:
    """Estimate the seconds of the whole experiment on its device, with a sentence on the basis.

    None if unknown.

    Raises:
        ValueError: A network cannot be built.
    """
    estimates = [estimate(database, experiment.recipe(name)) for name in experiment.names]
    seconds = [estimated.seconds for estimated in estimates if estimated.seconds is not None]
    total = sum(seconds) * len(experiment.seeds) if len(seconds) == len(estimates) else None
    return total, estimates[0].basis


def seconds_of(database: Database, stored: SavedExperiment, cell: Cell) -> float | None:
    """Estimate the remaining seconds of one run; None if unknown."""
    run = stored.runs[cell]
    fraction = _fraction(run)
    if run is not None and fraction >= ENOUGH:
        return run.seconds * (1 - fraction) / fraction
    similar = [
        other_run.seconds
        for (condition, _), other_run in stored.runs.items()
        if condition == cell.condition and other_run is not None and other_run.status is Status.FINISHED
    ]
    if similar:
        return sum(similar) / len(similar)
    return estimate(database, stored.experiment.recipe(*cell)).seconds


def _fraction(run: RunSummary | None) -> float:
    if run is None or not run.total_epochs:
        return 0.0
    return 1.0 if run.status is Status.FINISHED else min(run.epoch / run.total_epochs, 1.0)
