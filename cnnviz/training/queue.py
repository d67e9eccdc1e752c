"""The queue: putting a recipe into it, and a run's place in it. Importing this imports no torch."""

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
from cnnviz.training.travel import needs_of

UNNAMED = "untitled"
"""A recipe of this name is called by its model and data in the list of runs."""

ENOUGH = 0.05
"""Share of a run after which its own pace says how long the rest of it takes."""


def enqueue(database: Database, recipe: Recipe, parent_id: int | None = None) -> Run:
    """Put a run of this recipe into the queue of its device, for whoever supervises there.

    Args:
        database: The run database.
        recipe: What to do.
        parent_id: The run that this one is a changed copy of.

    Which device it gets is decided by the machine that claims it: this one may have none of its kind.

    Raises `ValueError` for a model or a data set that there is not, and for images or batches that the
    network cannot be trained on, before anything is written.
    """
    recipe = start_weights.resolve(with_code(recipe), database)
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
        needs=needs_of(recipe, open_store()) or None,
    )


@dataclass(frozen=True)
class QueuePlace:
    """What comes before a run that waits for its device."""

    training: tuple[RunSummary, ...]
    """The run that has the device; empty where it is free."""
    waiting: tuple[RunSummary, ...]
    """Runs that wait for the same device and come first, in their order."""
    seconds: float | None = None
    """About how long all of these take still; None where that is not known or was not asked for."""


def place_in_queue(database: Database, run: RunSummary, timed: bool = False) -> QueuePlace:
    """The place of a queued run on its device; with `timed`, also about how long it will wait."""
    runs = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[])
    devices = tracking.machine_devices(tracking.machines(database)) or _devices_here()
    mine = _contended(run, devices)
    others = [o for o in runs if o.id != run.id and o.trained and mine & _contended(o, devices)]
    training = tuple(other for other in others if other.status is not Status.QUEUED)
    order = {number: position for position, number in enumerate(tracking.queue_order(database))}
    here = order.get(run.id, len(order))
    first = (o for o in others if o.status is Status.QUEUED and order.get(o.id, here) < here)
    waiting = sorted(first, key=lambda other: order[other.id])
    place = QueuePlace(training, tuple(waiting))
    return place if not timed else QueuePlace(training, tuple(waiting), _seconds(database, place))


def _devices_here() -> frozenset[str]:
    """What this machine has, as far as that is known without torch."""
    return frozenset((CPU, FIRST_GPU) if may_have_gpu() else (CPU,))


def _contended(run: RunSummary, devices: frozenset[str]) -> frozenset[str]:
    """The devices that a run has, or that could be its own: runs that share one wait for each other."""
    if run.status is not Status.QUEUED:
        return frozenset(CPU if name.startswith(CPU) else name for name in split(run.device))
    wanted = run.device_class
    if wanted == ANY:
        return frozenset(gpus(devices)) or frozenset((CPU,))
    if wanted.startswith(CPU):
        return frozenset((CPU,))
    if wanted.startswith(GPU):
        return frozenset(gpus(devices)) or frozenset((FIRST_GPU,))
    return frozenset((wanted,))


def _seconds(database: Database, place: QueuePlace) -> float | None:
    runs = [*place.training, *place.waiting]
    recipes = tracking.recipes(database, [run.id for run in runs])
    total = 0.0
    for run in runs:
        left = _seconds_left(database, run, recipes[run.id])
        if left is None:
            return None
        total += left
    return total


def _seconds_left(database: Database, run: RunSummary, recipe: object) -> float | None:
    """Of a run: by its own pace once a twentieth is done, else as runs of its kind took here."""
    share = run.step / run.total_steps if run.total_steps else 0.0
    if share >= ENOUGH and run.seconds > 0:
        return run.seconds * (1 - share) / share
    try:
        expected = estimate(database, Recipe.model_validate(recipe)).seconds
    except (ValidationError, ValueError):
        return None  # of another version, or of a network that has gone
    return None if expected is None else expected * (1 - share)
