"""Queue of runs: enqueue a recipe, and compute a run's position. Importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from cnnviz import datasets, tracking
from cnnviz.device_class import ANY, CPU, GPU, class_of, gpus, ranks, split
from cnnviz.tracking import ACTIVE, Database, Run, RunSummary, Status
from cnnviz.tracking.store import open_store
from cnnviz.training import start_weights
from cnnviz.training.estimate import FIRST_GPU, estimate, may_have_gpu
from cnnviz.training.recipe import Recipe, spec_for, with_code
from cnnviz.training.recipes.defaults import is_default
from cnnviz.training.trainable import check_trainable, known_data
from cnnviz.training.travel import collect_needs

UNNAMED = "untitled"
"""Name of a recipe without a name of its own: its runs are named by model and data."""

ENOUGH = 0.05
"""Fraction of a run after which its remaining time is extrapolated from its own speed."""


def enqueue(database: Database, recipe: Recipe, parent_id: int | None = None) -> Run:
    """Queue a run of a recipe, after all checks.

    The machine that claims it decides on the device: this machine may not have one of the requested class.

    Args:
        database: The run database.
        recipe: The recipe.
        parent_id: The run of which this one is a changed copy.

    Raises:
        ValueError: The model or data do not exist, or the network cannot be trained with these images and
            batches. Nothing is written then.
    """
    recipe = with_code(recipe)
    if recipe.start_from:
        recipe = start_weights.resolve(recipe, database)
    spec = spec_for(recipe)
    recipe = recipe.model_copy(update={"dataset": datasets.check(recipe.dataset)})
    check_trainable(recipe, *known_data(recipe), ranks(class_of(recipe.device)))
    return tracking.create_run(
        database,
        recipe.model_dump(mode="json"),
        model=spec.name,
        dataset=recipe.dataset,
        seed=recipe.seed,
        name="" if recipe.name == UNNAMED or is_default(recipe.name) else recipe.name,
        device=recipe.device,
        parent_id=parent_id,
        total_epochs=float(recipe.epochs),
        needs=collect_needs(recipe, open_store()) or None,
    )


@dataclass(frozen=True)
class QueuePlace:
    """Runs ahead of a queued run on its device."""

    training: tuple[RunSummary, ...]
    """The run that holds the device; empty if it is free."""
    waiting: tuple[RunSummary, ...]
    """Queued runs of the same device that come first, in order."""
    seconds: float | None = None
    """Estimated remaining time of all of these; None if unknown or not requested."""


def place_in_queue(database: Database, run: RunSummary, timed: bool = False) -> QueuePlace:
    """Return the position of a queued run on its device; with `timed` also its estimated waiting time."""
    runs = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[])
    devices = tracking.machine_devices(tracking.machines(database)) or _devices_here()
    own_devices = _contended(run, devices)
    contenders = [o for o in runs if o.id != run.id and o.trained and own_devices & _contended(o, devices)]
    training = tuple(contender for contender in contenders if contender.status is not Status.QUEUED)
    order = {number: position for position, number in enumerate(tracking.queue_order(database))}
    own_position = order.get(run.id, len(order))
    ahead = (
        o for o in contenders if o.status is Status.QUEUED and order.get(o.id, own_position) < own_position
    )
    waiting = sorted(ahead, key=lambda contender: order[contender.id])
    result = QueuePlace(training, tuple(waiting))
    return result if not timed else QueuePlace(training, tuple(waiting), _seconds(database, result))


def _devices_here() -> frozenset[str]:
    """Return this machine's devices as far as they are known without torch."""
    return frozenset((CPU, FIRST_GPU) if may_have_gpu() else (CPU,))


def _contended(run: RunSummary, devices: frozenset[str]) -> frozenset[str]:
    """Return the devices that a run holds or could get: runs that share one wait for each other."""
    if run.status is not Status.QUEUED:
        return frozenset(CPU if name.startswith(CPU) else name for name in split(run.device))
    requested = run.device_class
    if requested == ANY:
        return frozenset(gpus(devices)) or frozenset((CPU,))
    if requested.startswith(CPU):
        return frozenset((CPU,))
    if requested.startswith(GPU):
        return frozenset(gpus(devices)) or frozenset((FIRST_GPU,))
    return frozenset((requested,))


def _seconds(database: Database, position: QueuePlace) -> float | None:
    runs = [*position.training, *position.waiting]
    recipes = tracking.recipes(database, [run.id for run in runs])
    total = 0.0
    for run in runs:
        remaining = _seconds_left(database, run, recipes[run.id])
        if remaining is None:
            return None
        total += remaining
    return total


def _seconds_left(database: Database, run: RunSummary, recipe: object) -> float | None:
    """Estimate the remaining time: by the run's own speed after 5 %, else as for a new run."""
    fraction = run.step / run.total_steps if run.total_steps else 0.0
    if fraction >= ENOUGH and run.seconds > 0:
        return run.seconds * (1 - fraction) / fraction
    try:
        expected = estimate(database, Recipe.model_validate(recipe)).seconds
    except (ValidationError, ValueError):
        return None  # A recipe of another version, or of a network that no longer exists.
    return None if expected is None else expected * (1 - fraction)
