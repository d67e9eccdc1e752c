"""Checks of a change before it is proposed: that it does something, is bounded, and goes the right way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from cnnviz import models
from cnnviz.analysis.checks import check_layers
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.generalising import available
from cnnviz.diagnosis.networks import dropout_rates
from cnnviz.diagnosis.stages import fresh, stages
from cnnviz.models.layers import BatchNorm, LayerList
from cnnviz.training.recipe import Recipe
from cnnviz.training.target import side_for, spec_for

Direction = Literal["up", "down"]

MOST_EPOCHS = 300
"""Epochs that a change may ask for where the run had fewer than half: published recipes for small images."""
MOST_TIMES, MOST_SECONDS = 30.0, 3600.0
"""Times as much work as the run's, or an hour at the speed it had: what people wait for to see a fix work."""
ENOUGH_STEPS = 5_000
"""Steps that any run may have: however short it was, a change may ask for so many batches."""
LONGEST_FIRST_STEP, SHORTEST_FIRST_STEP = 0.5, 1e-6
"""Of a layer's weights, moved by the first step: beyond, a step replaces a layer, or rounding swallows it."""


def checked(
    changes: Iterable[Change], evidence: Evidence, moves: Mapping[str, Direction] | None = None
) -> tuple[Change, ...]:
    """Return those of the changes that nothing speaks against; `moves` is what the cause's rule declares."""
    return tuple(change for change in changes if not refusal(change, evidence, moves or {}))


def refusal(change: Change, evidence: Evidence, moves: Mapping[str, Direction]) -> str:
    """Say in a sentence why a change cannot be proposed for a run; empty where it can."""
    old = evidence.recipe
    try:
        new = change.recipe(old)
        problem = _problem(new, evidence)
    except ValueError as error:
        return f"The recipe cannot be: {error}"
    if problem:
        return f"The network cannot be: {problem}"
    if not _effective(new, evidence).difference(_effective(old, evidence)):
        return "It changes nothing."
    return _too_much(new, evidence) or _first_step(new, evidence) or _wrong_way(new, evidence, moves)


def images(recipe: Recipe, evidence: Evidence) -> int:
    """Training images that a recipe takes, as far as it is known how many there are."""
    if recipe.limit == evidence.recipe.limit:
        return evidence.data.train
    whole = available(evidence)
    return whole if recipe.limit is None else min(whole, recipe.limit)


def steps(recipe: Recipe, evidence: Evidence) -> int:
    """Training steps of a recipe."""
    full, rest = divmod(images(recipe, evidence), recipe.batch_size)
    return recipe.epochs * max(1, full + (rest > 1))


def affordable_epochs(evidence: Evidence, wanted: int, recipe: Recipe | None = None) -> int:
    """Return `wanted` epochs, or as many as are bounded; never fewer than the run had."""
    recipe = recipe or evidence.recipe
    each = max(1, images(recipe, evidence))
    most = min(max(MOST_EPOCHS, 2 * evidence.recipe.epochs), int(_most_passes(evidence) / each))
    return max(evidence.recipe.epochs, min(wanted, most))


def batch_for(evidence: Evidence, most: int) -> int:
    """Return a power of two of at most `most` images that leaves an epoch eight steps; 4 at least."""
    fitting = max(4, evidence.data.train // 8)
    return int(2 ** math.floor(math.log2(min(most, fitting))))


def _too_much(new: Recipe, evidence: Evidence) -> str:
    old, count = evidence.recipe, images(new, evidence)
    if new.batch_size != old.batch_size and count and new.batch_size > count:
        return f"A batch of {new.batch_size:,} is more than the {count:,} images there are."
    if new.epochs > max(MOST_EPOCHS, 2 * old.epochs):
        return f"{new.epochs:,} epochs are more than anybody waits for."
    if new.epochs * count > _most_passes(evidence):
        return f"{new.epochs:,} epochs of {count:,} images are too much work."
    return ""


def _most_passes(evidence: Evidence) -> float:
    """The most images, times epochs, that a changed run may learn from."""
    before = evidence.recipe.epochs * max(1, evidence.data.train)
    speeds = sorted(evidence.curve("images_per_second").values)
    speed = speeds[len(speeds) // 2] if speeds else 0.0
    # Where there are more images for nothing, ten looks at each are no luxury.
    whole = 10 * (evidence.data.available or 0) if not speed else 0
    short = ENOUGH_STEPS * evidence.recipe.batch_size
    return max(MOST_TIMES * before, MOST_SECONDS * speed, whole, short)


def _first_step(new: Recipe, evidence: Evidence) -> str:
    if new.lr == evidence.recipe.lr or new.optimiser != evidence.recipe.optimiser:
        return ""
    updates = (stage.at.update for stage in stages(evidence, fresh(evidence)))
    seen = sorted(update for update in updates if update)
    rate = evidence.curve("lr").first or evidence.recipe.lr
    if not seen or rate <= 0:
        return ""
    then = seen[len(seen) // 2] * new.lr / rate
    # Towards what is sensible a change may stay short of it.
    longer = new.lr > evidence.recipe.lr
    if (then > LONGEST_FIRST_STEP and longer) or (then < SHORTEST_FIRST_STEP and not longer):
        return f"Its first step would move the median layer by {then:.1g} of its weights."
    return ""


def _wrong_way(new: Recipe, evidence: Evidence, moves: Mapping[str, Direction]) -> str:
    for quantity, direction in moves.items():
        before, after = (_measured(quantity, recipe, evidence) for recipe in (evidence.recipe, new))
        if before is None or after is None or before == after:
            continue
        if (after > before) != (direction == "up"):
            return f"'{quantity}' has to go {direction}, but would go from {before:g} to {after:g}."
    return ""


def _measured(quantity: str, recipe: Recipe, evidence: Evidence) -> float | None:
    measure = _MEASURES.get(quantity)
    return measure(recipe, evidence) if measure else getattr(recipe, quantity)


def _effective(recipe: Recipe, evidence: Evidence) -> Recipe:
    """The recipe without a limit that leaves nothing out."""
    if (
        recipe.limit is not None
        and evidence.data.available is not None
        and recipe.limit >= available(evidence)
    ):
        return recipe.model_copy(update={"limit": None})
    return recipe


def _problem(recipe: Recipe, evidence: Evidence) -> str:
    """Why the network cannot be built, or what the static checks find in it that the run's had not."""
    layers = _layers(recipe, evidence)
    if layers is None:
        return ""
    if layers.problem():
        return layers.problem()
    before = _layers(evidence.recipe, evidence)
    known = _errors(before) if before is not None else {}
    new = [message for check, message in _errors(layers).items() if check not in known]
    return new[0] if new else ""


def _errors(layers: LayerList) -> dict[str, str]:
    return {one.check: one.message for one in check_layers(layers) if one.severity == "error"}


def _layers(recipe: Recipe, evidence: Evidence) -> LayerList | None:
    options = None if recipe.layers else recipe.options
    return models.layer_list(spec_for(recipe), evidence.classes or None, side_for(recipe), options)


def _params(recipe: Recipe, evidence: Evidence) -> float | None:
    layers = _layers(recipe, evidence)
    return None if layers is None else float(sum(step.params for step in layers.steps()))


def _dropout(recipe: Recipe, evidence: Evidence) -> float | None:
    return max(dropout_rates(evidence.model_copy(update={"recipe": recipe})).values(), default=0.0)


def _momentum(recipe: Recipe, evidence: Evidence) -> float | None:
    layers = recipe.layers.layers if recipe.layers else ()
    return min((layer.momentum for layer in layers if isinstance(layer, BatchNorm)), default=None)


_MEASURES: dict[str, Callable[[Recipe, Evidence], float | None]] = {
    "images": images,
    "steps": steps,
    "params": _params,
    "dropout": _dropout,
    "batch_norm_momentum": _momentum,
}
"""Quantities that are no field of a recipe, by the names that rules declare."""
