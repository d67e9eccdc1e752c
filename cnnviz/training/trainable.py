"""Check that a network takes a training step on its images, before a run starts.

Training asks more of an input than prediction: auxiliary classifiers take part, and batch normalization needs
two values a channel. Importing this imports no torch; networks and sizes that ship are not tried again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz import datasets, models
from cnnviz.models.outside.onnx_network import DATA_ONLY
from cnnviz.models.user_code.registration import NOT_A_CLASSIFIER, OWN_FILE
from cnnviz.training.recipe import Recipe, side_for, spec_for

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models import Shape

FAILS = (RuntimeError, AssertionError, ValueError)
"""What torch raises for an input that a network cannot take."""
SINGLE_VALUE = "more than 1 value per channel"
"""In torch's sentence for batch normalization of a single value."""


def check_trainable(recipe: Recipe, classes: int, train_images: int | None = None, ranks: int = 1) -> None:
    """Raise `ValueError` in one sentence where the network cannot take a step of the recipe.

    Args:
        recipe: What to train.
        classes: How many classes its data have.
        train_images: How many images are learned from; None where that is not known yet.
        ranks: How many processes share each batch: the smallest part counts.
    """
    spec, side = spec_for(recipe), side_for(recipe)
    least = max(1, smallest_batch(recipe.batch_size, train_images) // ranks)
    if spec.tags & {NOT_A_CLASSIFIER, DATA_ONLY}:
        raise ValueError(next(iter(spec.notes), f"{spec.title} is no classifier."))
    own = side == tuple(spec.input_shape[1:]) and not recipe.options and OWN_FILE not in spec.tags
    if least > 1 and (recipe.layers is not None or own):
        return  # A layer list does the same in training, and tests show that every model trains at its size.
    identity = recipe.model_dump_json(include={"model", "layers", "options", "size", "code"})
    problem = _problem(identity, spec.edition, classes, least)
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


def known_data(recipe: Recipe) -> tuple[int, int | None]:
    """Return the classes of a recipe's data, and how many images are learned from where they are here."""
    known = datasets.specs().get(recipe.dataset)
    ready = datasets.prepared(recipe.dataset) if known or datasets.is_path(recipe.dataset) else None
    if ready is None:
        return (len(known.classes) if known else 10), None
    try:
        split = ready.split(recipe.validation, recipe.seed, recipe.limit)
    except ValueError:  # The run itself says why nothing is left.
        return len(ready.classes), None
    return len(ready.classes), len(split.train)


def smallest_batch(batch_size: int, train_images: int | None) -> int:
    """Count the images of the smallest batch of an epoch: the last one, where images are left over."""
    if not train_images:
        return batch_size
    return min(train_images, train_images % batch_size or batch_size)


@dataclass(frozen=True)
class _Problem:
    """Why a training step fails: torch's reason, and what would fit."""

    reason: str
    single_value: bool
    auxiliary: bool
    """Whether the same input is enough for a prediction."""
    least_side: int | None
    """The smallest square that trains; None where the network's own does not."""


@functools.lru_cache(maxsize=256)
def _problem(identity: str, edition: str, classes: int, batch: int) -> _Problem | None:
    recipe = Recipe.model_validate_json(identity)
    spec, (height, width) = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    whole, images = (spec, classes, options), min(batch, 2)
    failure = _failure(*whole, (height, width), images, training=True)
    if failure is None:
        return None
    predicts = _failure(*whole, (height, width), images, training=False) is None
    reason = str(failure).strip().splitlines()[0].rstrip(".") if str(failure).strip() else "it does not fit"
    single = SINGLE_VALUE in reason
    least = None if single and batch == 1 else _least_side(*whole, (height, width), images)
    return _Problem(reason, single, predicts, least)


def _failure(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int,
    *, training: bool,
) -> Exception | None:  # fmt: skip
    """What one pass over so many images without values raises, if anything."""
    import torch

    from cnnviz.models.builder import on_meta

    shape: Shape = (spec.input_shape[0], *side)
    try:
        module: nn.Module = on_meta(lambda: spec.builder(classes, shape, options))
        with torch.no_grad():
            module.train(training)(torch.empty((images, *shape), device="meta"))
    except Exception as error:
        if OWN_FILE in spec.tags:  # whose forward may raise anything; values only the run itself has
            return None if "meta" in str(error) else error
        if not isinstance(error, FAILS):
            raise
        return error
    return None


def _least_side(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int
) -> int | None:
    """The smallest square between `side`, which fails, and the network's own, by halving."""
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
    why = (
        f"batch normalization in {spec.name} gets a single value a channel from one image of {sides}, "
        "which has no spread"
    )
    if batch == 1 or train_images == 1:
        return f"Batches of one image cannot be trained on: {why}; use a batch size of 2 or more."
    other = next(size for size in range(batch + 1, 2 * batch + 2) if (train_images or 0) % size != 1)
    return (
        f"{train_images or 0:,} images in batches of {batch:,} leave one image over, which cannot be trained "
        f"on: {why}; use another batch size, such as {other:,}."
    )
