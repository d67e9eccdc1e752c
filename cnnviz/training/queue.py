"""Queue of runs: enqueue a recipe, after checks that its network can train.

Importing this module does not import torch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz import datasets, models, tracking
from cnnviz.device_class import class_of, ranks
from cnnviz.models.external.onnx_network import DATA_ONLY
from cnnviz.models.user_code.registration import NOT_A_CLASSIFIER, OWN_FILE
from cnnviz.tracking import Database, Run, RunSummary
from cnnviz.tracking.store import open_store
from cnnviz.training.fine_tuning import check_start_weights, freezing_problem, resolve_start_weights
from cnnviz.training.recipe import Recipe, network_key, side_for, spec_for, with_code
from cnnviz.training.recipes import is_default
from cnnviz.training.travel import collect_needs

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models import Shape

UNNAMED = "untitled"
"""Name of a recipe without a name of its own: its runs are named by model and data."""


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
        recipe = resolve_start_weights(recipe, database)
    spec = spec_for(recipe)
    recipe = recipe.model_copy(update={"dataset": datasets.check(recipe.dataset)})
    if recipe.start_from:
        check_start_weights(recipe, known_data(recipe)[0], database)
    data = datasets.find(recipe.dataset)
    check_trainable(recipe, *known_data(recipe), ranks(class_of(recipe.device)))
    return tracking.create_run(
        database,
        recipe.model_dump(mode="json"),
        model=spec.name,
        dataset=recipe.dataset,
        seed=recipe.seed,
        name="" if recipe.name == UNNAMED or is_default(recipe.name) else recipe.name,
        titles=(spec.title, data.title if data else ""),
        device=recipe.device,
        parent_id=parent_id,
        total_epochs=float(recipe.epochs),
        needs=collect_needs(recipe, open_store()) or None,
    )


def has_default_name(run: RunSummary) -> bool:
    """Return whether a run is called by its model and data: by titles or, as in older versions, keys."""
    titles = f"{models.title_of(run.model)} on {datasets.title_of(run.data)}"
    return run.name in (titles, f"{run.model} on {run.data}")


# Checks that a network can train, before its run is queued.
#
# Training requires more of an input than prediction: auxiliary classifiers are active, and batch
# normalization needs two values per channel. Bundled networks at their own size are not checked again.

FAILS = (RuntimeError, AssertionError, ValueError)
"""Exceptions raised by torch for an input of an unsuitable size."""
SINGLE_VALUE = "more than 1 value per channel"
"""Part of torch's message on batch normalization of a single value."""


def check_trainable(recipe: Recipe, classes: int, train_images: int | None = None, ranks: int = 1) -> None:
    """Raise `ValueError` if the network cannot run a training step of the recipe, or has no layer to freeze.

    Args:
        recipe: The recipe.
        classes: Number of classes of its data.
        train_images: Number of training images, if known.
        ranks: Number of processes that share each batch: the smallest part has to be large enough.
    """
    spec, side = spec_for(recipe), side_for(recipe)
    least = max(1, smallest_batch(recipe.batch_size, train_images) // ranks)
    check_classifier(spec)
    if recipe.freeze_until and (sentence := freezing_problem(recipe, classes)):
        raise ValueError(sentence)
    has_own_size = side == tuple(spec.input_shape[1:]) and not recipe.options and OWN_FILE not in spec.tags
    if least > 1 and (recipe.layers is not None or has_own_size):
        return  # Layer lists behave alike in training, and every model is tested at its own size.
    problem = _problem(network_key(recipe), spec.edition, classes, least)
    if problem is None:
        return
    if problem.single_value and ranks > 1:
        raise ValueError(
            f"{ranks} processes share each batch, and the smallest part is one image, which batch "
            f"normalization in {spec.name} cannot learn from; use a batch size that leaves {2 * ranks} "
            "images or more in the last batch, or fewer devices."
        )
    if problem.single_value and least == 1:
        raise ValueError(_one_image(recipe, spec, side, train_images))
    raise ValueError(_too_small(spec, side, problem))


def check_classifier(spec: models.ModelSpec) -> None:
    """Raise `ValueError` if the network is read as data, or its output is not one number per class."""
    if spec.tags & {NOT_A_CLASSIFIER, DATA_ONLY}:
        raise ValueError(next(iter(spec.notes), f"{spec.title} is no classifier."))


def known_data(recipe: Recipe) -> tuple[int, int | None]:
    """Return the number of classes, and the number of training images if the data are on this machine."""
    spec = datasets.find(recipe.dataset)
    prepared = datasets.prepared(recipe.dataset) if spec or datasets.is_path(recipe.dataset) else None
    if prepared is None:
        return (len(spec.classes) if spec else 10), None
    try:
        split = prepared.split(recipe.validation, recipe.seed, recipe.limit)
    except ValueError:  # The run itself will raise the error.
        return len(prepared.classes), None
    return len(prepared.classes), len(split.train)


def smallest_batch(batch_size: int, train_images: int | None) -> int:
    """Return the size of the smallest batch of an epoch: the last one, if there is a remainder."""
    if not train_images:
        return batch_size
    return min(train_images, train_images % batch_size or batch_size)


@dataclass(frozen=True)
class _Problem:
    """Reason for the failure of a training step, and the size that would work."""

    reason: str
    single_value: bool
    auxiliary: bool
    """Whether the input suffices for prediction, but not for training."""
    least_side: int | None
    """Smallest square input that can be trained on; None if the network's own cannot."""


@functools.lru_cache(maxsize=256)
def _problem(identity: str, edition: str, classes: int, batch: int) -> _Problem | None:
    recipe = Recipe.model_validate_json(identity)
    spec, (height, width) = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    network, images = (spec, classes, options), min(batch, 2)
    failure = _failure(*network, (height, width), images, training=True)
    if failure is None:
        return None
    predicts = _failure(*network, (height, width), images, training=False) is None
    reason = str(failure).strip().splitlines()[0].rstrip(".") if str(failure).strip() else "it does not fit"
    single = SINGLE_VALUE in reason
    least = None if single and batch == 1 else _least_side(*network, (height, width), images)
    return _Problem(reason, single, predicts, least)


def _failure(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int,
    *, training: bool,
) -> Exception | None:  # fmt: skip
    """Return the exception raised by a pass over images on the meta device, or None."""
    import torch

    from cnnviz.models.meta_device import on_meta

    shape: Shape = (spec.input_shape[0], *side)
    try:
        module: nn.Module = on_meta(lambda: spec.builder(classes, shape, options))
        with torch.no_grad():
            module.train(training)(torch.empty((images, *shape), device="meta"))
    except Exception as error:
        if OWN_FILE in spec.tags:  # User code may raise anything, also because of missing values.
            return None if "meta" in str(error) else error
        if not isinstance(error, FAILS):
            raise
        return error
    return None


def _least_side(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int
) -> int | None:
    """Find the smallest square that works, between `side` and the network's own, by bisection."""
    low, high = min(side), max(spec.input_shape[1:])
    if low >= high or _failure(spec, classes, options, (high, high), images, training=True) is not None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        fails = _failure(spec, classes, options, (middle, middle), images, training=True) is not None
        low, high = (middle, high) if fails else (low, middle)
    return high


def _too_small(spec: models.ModelSpec, side: tuple[int, int], problem: _Problem) -> str:
    sides = "×".join(map(str, side))
    if problem.least_side is None:
        return f"{spec.name} cannot be trained on images of {sides}: {problem.reason}."
    least = f"{problem.least_side}×{problem.least_side}"
    if not problem.auxiliary:
        return f"{spec.name} takes images of {least} or larger, not {sides}."
    return (
        f"{spec.name} can be trained on images of {least} or larger, not {sides}: that is enough to predict, "
        "but its auxiliary classifier, which takes part in training, needs more."
    )


def _one_image(
    recipe: Recipe, spec: models.ModelSpec, side: tuple[int, int], train_images: int | None
) -> str:
    sides, batch = "×".join(map(str, side)), recipe.batch_size
    reason = (
        f"batch normalization in {spec.name} gets a single value a channel from one image of {sides}, "
        "which has no variance"
    )
    if batch == 1 or train_images == 1:
        return f"Batches of one image cannot be trained on: {reason}; use a batch size of 2 or more."
    alternative = next(size for size in range(batch + 1, 2 * batch + 2) if (train_images or 0) % size != 1)
    return (
        f"{train_images or 0:,} images in batches of {batch:,} leave one image over, which cannot be trained "
        f"on: {reason}; use another batch size, such as {alternative:,}."
    )
