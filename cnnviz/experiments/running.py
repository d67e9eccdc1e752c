"""Experiments in the run database: queued like any other runs, extended, and stopped."""

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

MOST_AT_ONCE = 30
"""Runs that are queued at once without asking again."""
LONGEST_SECONDS = 24 * 3600.0
"""Of all runs that are queued at once without asking again."""


class Stored(NamedTuple):
    """An experiment of the run database."""

    id: int
    experiment: Experiment
    created: float
    runs: dict[Cell, RunSummary | None]
    """The run of every arm and seed; None where there is none, or it is deleted."""

    def waiting(self) -> list[Cell]:
        """Arms and seeds whose run has yet to end, seed by seed."""
        return [cell for cell in self.experiment.cells() if _goes_on(self.runs[cell])]

    def broken(self) -> list[Cell]:
        """Arms and seeds without a run, or with one that ended early, seed by seed."""
        return [cell for cell in self.experiment.cells() if _broken(self.runs[cell])]


def start(database: Database, experiment: Experiment) -> int:
    """Keep the experiment and queue its runs, seed by seed; return its number.

    Raises `ValueError` for a model or data set that there is not, and `QueueFullError` where so many runs may
    not wait, before anything is written.
    """
    tracking.require_room(database, len(list(experiment.cells())))
    number = save(database, experiment)
    queue(database, number)
    return number


def save(database: Database, experiment: Experiment) -> int:
    """Keep the experiment and queue nothing; return its number. Raises as `start` does."""
    _check(experiment)
    return tracking.create_experiment(database, experiment.name, experiment.write(), experiment.cells())


def queue(database: Database, experiment_id: int) -> list[int]:
    """Queue what has no run and resume what ended early; return the numbers of those runs.

    Raises `NoSuchExperimentError`, and `QueueFullError` before anything is queued.
    """
    stored = get(database, experiment_id)
    missing = stored.broken()
    tracking.require_room(database, len(missing))
    return [cell_run(database, stored, cell) for cell in missing]


def needs_confirmation(runs: int, seconds: float | None) -> bool:
    """Whether whoever queues so many runs, which take about so long together, is asked again."""
    return runs > MOST_AT_ONCE or (seconds is not None and seconds > LONGEST_SECONDS)


def cell_run(database: Database, stored: Stored, cell: Cell) -> int:
    """Put one arm with a seed into the queue, again or for the first time; return the run's number."""
    run = stored.runs[cell]
    if run is not None:
        tracking.request(database, run.id, Command.RESUME)
        return run.id
    made = enqueue(database, stored.experiment.recipe(*cell))
    tracking.update_run(database, made.id, tags=[tag(stored.id)])
    tracking.place_run(database, stored.id, *cell, made.id)
    return made.id


def extend(database: Database, experiment_id: int, seeds: int) -> list[int]:
    """Run every arm with so many more seeds; return the numbers of the new runs.

    Raises `NoSuchExperimentError`, and `ValueError` where there would be too many seeds or waiting runs.
    """
    stored = get(database, experiment_id)
    old = stored.experiment
    tracking.require_room(database, seeds * len(old.names) + len(stored.broken()))
    free = (seed for seed in range(len(old.seeds) + seeds) if seed not in old.seeds)
    added = [seed for seed, _ in zip(free, range(seeds), strict=False)]
    wider = Experiment.of(**{**dict(old), "seeds": (*old.seeds, *added)})
    cells = [Cell(name, seed) for seed in added for name in wider.names]
    tracking.extend_experiment(database, experiment_id, wider.write(), cells)
    return queue(database, experiment_id)


def stop(database: Database, experiment_id: int) -> None:
    """Stop the runs of an experiment that train or wait; what they have learnt is kept, `queue` goes on."""
    stored = get(database, experiment_id)
    # Those that wait first, so that none of them begins when the one that trains has stopped.
    going = sorted(
        (run for cell in stored.waiting() if (run := stored.runs[cell])), key=lambda run: run.active
    )
    for run in going:
        with suppress(tracking.WrongStateError):  # It has ended meanwhile.
            tracking.request(database, run.id, Command.STOP)


def get(database: Database, experiment_id: int) -> Stored:
    """An experiment with its runs; raises `NoSuchExperimentError`."""
    return _with_runs(database, [tracking.get_experiment(database, experiment_id)])[0]


def every(database: Database) -> list[Stored]:
    """All experiments with their runs, newest first."""
    return _with_runs(database, tracking.list_experiments(database))


def tag(experiment_id: int) -> str:
    """The tag that an experiment's runs bear in the list of runs."""
    return f"experiment {experiment_id}"


def _with_runs(database: Database, kept: Sequence[tracking.StoredExperiment]) -> list[Stored]:
    outcomes = []
    for entry in kept:
        experiment = Experiment.read(entry.body)
        places = {Cell(slot.arm, slot.seed): slot.run_id for slot in tracking.slots(database, entry.id)}
        ids = [run_id for run_id in places.values() if run_id is not None]
        runs = {run.id: run for run in tracking.list_runs(database, ids=ids)} if ids else {}
        cells = {cell: runs.get(places.get(cell) or 0) for cell in experiment.cells()}
        outcomes.append(Stored(entry.id, experiment, entry.created, cells))
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


# How far an experiment has come, and how long the rest will take.

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
    parts = [_fraction(run) for run in runs.values() if run is not None]
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
    share = _fraction(run)
    if run is not None and share >= ENOUGH:
        return run.seconds * (1 - share) / share
    alike = [
        other.seconds
        for (condition, _), other in stored.runs.items()
        if condition == cell.arm and other is not None and other.status is Status.FINISHED
    ]
    if alike:
        return sum(alike) / len(alike)
    return estimate(database, stored.experiment.recipe(*cell)).seconds


def _fraction(run: RunSummary | None) -> float:
    if run is None or not run.total_epochs:
        return 0.0
    return 1.0 if run.status is Status.FINISHED else min(run.epoch / run.total_epochs, 1.0)
