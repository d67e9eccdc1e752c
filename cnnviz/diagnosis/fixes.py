"""Recipe changes that several rules propose, and the checks that a change passes before it is proposed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from cnnviz import models
from cnnviz.analysis.checks import check_layers
from cnnviz.diagnosis.alternative_networks import (
    SMALLER,
    dropout_rates,
    registered_model,
    small_network,
    uses_augmentation,
)
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import first_look, layer_signals
from cnnviz.diagnosis.finding import Change
from cnnviz.models.layers import Activation, BatchNorm, Conv, Init, Layer, LayerList, Linear
from cnnviz.models.spec import choices
from cnnviz.training.recipe import Recipe, side_for, spec_for

# Against overfitting: more images, data augmentation, or a smaller network.


def flip_preserves_class(evidence: Evidence) -> bool:
    """Return whether a flip preserves the class: no for digits and letters, unknown for grayscale."""
    return evidence.data.shape[:1] == (3,) and not all(len(name) == 1 for name in evidence.data.classes)


def _margin(evidence: Evidence) -> int:
    """Return an eighth of the side: 4 of CIFAR-10's 32 pixels, as usual there."""
    return max(1, min(evidence.side or (8, 8)) // 8)


def describe_augmented_variants(evidence: Evidence) -> str:
    """Describe in a sentence how many variants of an image augmentation produces."""
    margin = _margin(evidence)
    places = (2 * margin + 1) ** 2
    twice = 2 if flip_preserves_class(evidence) else 1
    mirrored = " and its mirror image" if twice == 2 else ""
    return (
        f"Padded by {margin} pixels and cut again at random it has (2·{margin} + 1)² = {places} places"
        f"{mirrored}: {twice * places:,} forms in place of 1."
    )


def available_images(evidence: Evidence) -> int:
    """Return the number of training images without `limit`; in old runs derived from the validation part."""
    share = evidence.recipe.validation
    if evidence.data.available is not None:
        return evidence.data.available
    if not share or not evidence.data.validation:
        return evidence.data.train
    return round(evidence.data.validation / share * (1 - share))


def use_all_images(evidence: Evidence) -> tuple[Change, ...]:
    """Propose to drop `limit`, where it leaves images out."""
    recipe, total = evidence.recipe, available_images(evidence)
    is_known = evidence.data.available is not None or recipe.validation
    if recipe.limit is None or (is_known and total <= evidence.data.train):
        return ()
    # About as many steps as before, but at least three epochs.
    epochs = max(3, math.ceil(evidence.total_steps * recipe.batch_size / max(total, evidence.data.train)))
    changed: dict[str, object] = {"limit": None}
    if is_known and epochs < recipe.epochs and epochs >= recipe.warmup_epochs:
        changed["epochs"] = epochs
    return (Change(changed, "Learn from all training images, with about as many steps."),)


def add_augmentation(evidence: Evidence) -> tuple[Change, ...]:
    """Propose random crops, and flips where they preserve the class, for a recipe without augmentation."""
    if uses_augmentation(evidence.recipe):
        return ()
    values: dict[str, object] = {"pad_crop": _margin(evidence)}
    words = "Move every image a little"
    if flip_preserves_class(evidence):
        values["flip"], words = "random", f"{words} and mirror half of them"
    return (Change(values, f"{words}, another way each time it is seen."),)


def smaller_network(evidence: Evidence) -> tuple[Change, ...]:
    """Propose the next smaller registered network, or a small CNN in place of a layer list."""
    recipe, shape = evidence.recipe, evidence.data.shape
    if recipe.layers is None:
        name = SMALLER.get(recipe.model)
        return (
            (Change(registered_model(name), f"{name}, the next smaller network for such images."),)
            if name
            else ()
        )
    if len(shape) != 3 or min(shape[1:]) < 8:
        return ()
    channels, height, width = shape
    network = small_network((channels, height, width), evidence.classes)
    return (Change(network, "Two convolutions and one fully connected layer: few weights, and shared ones."),)


# Checks of a change before it is proposed: it has an effect, is affordable, and goes in the right direction.

Direction = Literal["up", "down"]

MAX_EPOCHS = 300
"""Most epochs that a change asks for, unless the run had more than half: as in published recipes for small
images.
"""
MAX_TIMES, MAX_SECONDS = 30.0, 3600.0
"""Most work of a changed run, as a multiple of the run's, or in seconds at its speed: what a user waits for.
"""
ENOUGH_STEPS = 5_000
"""Steps that a change may ask for, however short the run was."""
LONGEST_FIRST_STEP, SHORTEST_FIRST_STEP = 0.5, 1e-6
"""Bounds of the first step's update-to-weight ratio: beyond, a step replaces a layer, or rounding swallows
it.
"""


def valid_changes(
    changes: Iterable[Change], evidence: Evidence, moves: Mapping[str, Direction] | None = None
) -> tuple[Change, ...]:
    """Return the changes that pass all checks; `moves` are the directions declared by the cause's rule."""
    return tuple(change for change in changes if not rejection_reason(change, evidence, moves or {}))


def rejection_reason(change: Change, evidence: Evidence, moves: Mapping[str, Direction]) -> str:
    """Explain in a sentence why a change cannot be proposed for a run; empty where it can."""
    old = evidence.recipe
    try:
        new = change.recipe(old)
        problem = _network_problem(new, evidence)
    except ValueError as error:
        return f"The recipe cannot be: {error}"
    if problem:
        return f"The network cannot be: {problem}"
    if not _effective(new, evidence).difference(_effective(old, evidence)):
        return "It changes nothing."
    return _too_much(new, evidence) or _first_step(new, evidence) or _wrong_direction(new, evidence, moves)


def image_count(recipe: Recipe, evidence: Evidence) -> int:
    """Return the number of training images of a recipe, as far as it is known."""
    if recipe.limit == evidence.recipe.limit:
        return evidence.data.train
    total = available_images(evidence)
    return total if recipe.limit is None else min(total, recipe.limit)


def step_count(recipe: Recipe, evidence: Evidence) -> int:
    """Return the number of training steps of a recipe."""
    full, remainder = divmod(image_count(recipe, evidence), recipe.batch_size)
    return recipe.epochs * max(1, full + (remainder > 1))


def affordable_epochs(evidence: Evidence, epochs: int, recipe: Recipe | None = None) -> int:
    """Return `wanted` epochs, bounded by the most that is affordable; never fewer than the run had."""
    recipe = recipe or evidence.recipe
    each = max(1, image_count(recipe, evidence))
    most = min(max(MAX_EPOCHS, 2 * evidence.recipe.epochs), int(_most_passes(evidence) / each))
    return max(evidence.recipe.epochs, min(epochs, most))


def suggest_batch_size(evidence: Evidence, most: int) -> int:
    """Return a batch size: a power of two from 4 to `most`, with at least eight steps per epoch."""
    fitting = max(4, evidence.data.train // 8)
    return int(2 ** math.floor(math.log2(min(most, fitting))))


def _too_much(new: Recipe, evidence: Evidence) -> str:
    old, count = evidence.recipe, image_count(new, evidence)
    if new.batch_size != old.batch_size and count and new.batch_size > count:
        return f"A batch of {new.batch_size:,} is more than the {count:,} images there are."
    if new.epochs > max(MAX_EPOCHS, 2 * old.epochs):
        return f"{new.epochs:,} epochs are more than anybody waits for."
    if new.epochs * count > _most_passes(evidence):
        return f"{new.epochs:,} epochs of {count:,} images are too much work."
    return ""


def _most_passes(evidence: Evidence) -> float:
    """Return the most images times epochs of a changed run."""
    before = evidence.recipe.epochs * max(1, evidence.data.train)
    speeds = sorted(evidence.curve("images_per_second").values)
    speed = speeds[len(speeds) // 2] if speeds else 0.0
    # Images that the limit left out are free: ten epochs of them are always affordable.
    ten_epochs = 10 * (evidence.data.available or 0) if not speed else 0
    short = ENOUGH_STEPS * evidence.recipe.batch_size
    return max(MAX_TIMES * before, MAX_SECONDS * speed, ten_epochs, short)


def _first_step(new: Recipe, evidence: Evidence) -> str:
    if new.lr == evidence.recipe.lr or new.optimiser != evidence.recipe.optimiser:
        return ""
    updates = (stage.at.update for stage in layer_signals(evidence, first_look(evidence)))
    ratios = sorted(update for update in updates if update)
    rate = evidence.curve("lr").first or evidence.recipe.lr
    if not ratios or rate <= 0:
        return ""
    new_ratio = ratios[len(ratios) // 2] * new.lr / rate
    # A step towards the sensible range is fine even if it stays outside.
    longer = new.lr > evidence.recipe.lr
    if (new_ratio > LONGEST_FIRST_STEP and longer) or (new_ratio < SHORTEST_FIRST_STEP and not longer):
        return f"Its first step would move the median layer by {new_ratio:.1g} of its weights."
    return ""


def _wrong_direction(new: Recipe, evidence: Evidence, moves: Mapping[str, Direction]) -> str:
    for quantity, direction in moves.items():
        before, after = (_quantity(quantity, recipe, evidence) for recipe in (evidence.recipe, new))
        if before is None or after is None or before == after:
            continue
        if (after > before) != (direction == "up"):
            return f"'{quantity}' has to go {direction}, but would go from {before:g} to {after:g}."
    return ""


def _quantity(quantity: str, recipe: Recipe, evidence: Evidence) -> float | None:
    measure = _MEASURES.get(quantity)
    return measure(recipe, evidence) if measure else getattr(recipe, quantity)


def _effective(recipe: Recipe, evidence: Evidence) -> Recipe:
    """Return the recipe without a limit that leaves no image out."""
    if (
        recipe.limit is not None
        and evidence.data.available is not None
        and recipe.limit >= available_images(evidence)
    ):
        return recipe.model_copy(update={"limit": None})
    return recipe


def _network_problem(recipe: Recipe, evidence: Evidence) -> str:
    """Return why the network cannot be built, or a static-check error that the run's own does not have."""
    layers = _layers(recipe, evidence)
    if layers is None:
        return ""
    if layers.problem():
        return layers.problem()
    before = _layers(evidence.recipe, evidence)
    previous = _check_errors(before) if before is not None else {}
    new = [message for check, message in _check_errors(layers).items() if check not in previous]
    return new[0] if new else ""


def _check_errors(layers: LayerList) -> dict[str, str]:
    return {
        check_layer.check: check_layer.message
        for check_layer in check_layers(layers)
        if check_layer.severity == "error"
    }


def _layers(recipe: Recipe, evidence: Evidence) -> LayerList | None:
    if evidence.kind != "trained":
        return None  # a user's own network, which no recipe builds
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
    "images": image_count,
    "steps": step_count,
    "params": _params,
    "dropout": _dropout,
    "batch_norm_momentum": _momentum,
}
"""Quantities that are not recipe fields, by the names that rules declare."""


HE = Init(weights="he", bias=0.0)
GLOROT = Init(weights="glorot", bias=0.0)
SATURATING = ("Sigmoid", "Tanh")
"""Types of saturating activations."""


def applicable_changes(changes: Iterable[Change | None], recipe: Recipe) -> tuple[Change, ...]:
    """Return the changes that are valid for the recipe and have an effect."""
    return tuple(change for change in changes if change is not None and _is_valid(change, recipe))


def reinitialize(recipe: Recipe) -> Change | None:
    """Propose He initialization, or Glorot for saturating activations, with zero biases."""
    if recipe.layers is not None:
        function = _functions(recipe.layers) & {"tanh", "sigmoid"}
        rule, name = (GLOROT, "Glorot's") if function else (HE, "He's")
        reason = (
            f"{name} rule draws weights so that each layer passes on as much signal as it gets; biases at 0."
        )
        return Change({"layers": _map_layers(recipe.layers, lambda layer: _with_init(layer, rule))}, reason)
    return _option(
        recipe,
        "init",
        "he",
        "He's rule draws weights so that each layer passes on as much signal as it gets; biases at 0.",
    )


def add_batch_norm(recipe: Recipe) -> Change | None:
    """Propose batch normalization after each layer with weights that an activation follows."""
    reason = (
        "Batch normalization brings every layer's signal back to a standard deviation of 1, whatever the "
        "weights are."
    )
    if recipe.layers is None:
        return _option(recipe, "normalisation", "batch", reason)
    if any(isinstance(layer, BatchNorm) for layer in recipe.layers.layers):
        return None
    result: list[Layer] = []
    for layer in recipe.layers.layers:
        if isinstance(layer, Activation) and result and isinstance(result[-1], Conv | Linear):
            result.append(BatchNorm())
        result.append(layer)
    return Change({"layers": _document(recipe.layers, result)}, reason)


def use_relu(recipe: Recipe) -> Change | None:
    """Propose ReLU in place of sigmoid or tanh, with He initialization."""
    reason = "ReLU hands gradients on whole where it is on; He's rule is the start that goes with it."
    if recipe.layers is None:
        options = {"activation": "relu", "init": "he"}
        available = {name: value for name, value in options.items() if _offers(recipe, name, value)}
        return Change({"options": available}, reason) if "activation" in available else None
    if not _functions(recipe.layers) & {"tanh", "sigmoid"}:
        return None
    return Change(
        {"layers": _map_layers(recipe.layers, lambda layer: _with_relu(_with_init(layer, HE)))}, reason
    )


def standardize_pixels() -> Change:
    """Propose standardized pixels: mean 0 and standard deviation 1."""
    return Change(
        {"scale": "standardised"},
        "Standardized pixels have mean 0 and standard deviation 1 in each channel, as rules for initial "
        "weights expect.",
    )


def change_learning_rate(recipe: Recipe, target: float, why: str) -> Change:
    """Propose another learning rate, rounded to 1, 2, 3 or 5 times a power of ten."""
    return Change({"lr": round_rate(min(max(target, 1e-7), 10.0))}, why)


def faster_batch_norm(recipe: Recipe, momentum: float) -> Change | None:
    """Propose running statistics with at least this momentum; None for other models than layer lists."""
    if recipe.layers is None:
        return None

    def faster(layer: Layer) -> Layer:
        slow = isinstance(layer, BatchNorm) and layer.momentum < momentum
        return layer.model_copy(update={"momentum": momentum}) if slow else layer

    reason = (
        f"With momentum {momentum:g} running statistics look back on some {1 / momentum:.0f} batches only."
    )
    return Change({"layers": _map_layers(recipe.layers, faster)}, reason)


def more_epochs(evidence: Evidence, steps: int) -> Change | None:
    """Propose as many epochs as `step_count` steps take; None where that is not affordable."""
    epochs = -(-steps // evidence.steps_per_epoch)
    if epochs <= evidence.recipe.epochs or affordable_epochs(evidence, epochs) < epochs:
        return None
    return Change({"epochs": epochs}, f"{epochs:,} epochs are {epochs * evidence.steps_per_epoch:,} steps.")


def round_rate(value: float) -> float:
    """Round to 1, 2, 3 or 5 times a power of ten, on a logarithmic scale."""
    exponent = math.floor(math.log10(value))
    nearest = min((1, 2, 3, 5, 10), key=lambda digit: abs(math.log10(value / 10**exponent / digit)))
    return float(f"{nearest}e{exponent}")


def _with_init(layer: Layer, rule: Init) -> Layer:
    return layer.model_copy(update={"init": rule}) if hasattr(layer, "init") else layer


def _with_relu(layer: Layer) -> Layer:
    if isinstance(layer, Activation) and layer.function in ("tanh", "sigmoid"):
        return layer.model_copy(update={"function": "relu"})
    return layer


def _map_layers(layers: LayerList, change: Callable[[Layer], Layer]) -> dict[str, Any]:
    return _document(layers, [change(layer) for layer in layers.layers])


def _document(layers: LayerList, made: list[Layer]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layers.model_copy(update={"layers": tuple(made)}).write())
    return document


def _functions(layers: LayerList) -> set[str]:
    return {layer.function for layer in layers.layers if isinstance(layer, Activation)}


def _option(recipe: Recipe, name: str, value: str, why: str) -> Change | None:
    return Change({"options": {name: value}}, why) if _offers(recipe, name, value) else None


def _offers(recipe: Recipe, name: str, value: str) -> bool:
    """Return whether the model has that option with that choice, and does not use it already."""
    if recipe.layers is not None:
        return False
    try:
        spec = spec_for(recipe)
    except ValueError:
        return False
    info = spec.options.model_fields.get(name)
    return info is not None and value in choices(info) and recipe.options.get(name, info.default) != value


def _is_valid(change: Change, recipe: Recipe) -> bool:
    try:
        return bool(change.recipe(recipe).difference(recipe))
    except ValueError:
        return False
