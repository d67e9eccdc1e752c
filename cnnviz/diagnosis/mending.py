"""Changes of a recipe that more than one rule proposes; each is valid for the recipe, or is not proposed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.fix_checks import affordable_epochs
from cnnviz.models.layers import Activation, BatchNorm, Conv, Init, Layer, LayerList, Linear
from cnnviz.models.spec import choices
from cnnviz.training.recipe import Recipe
from cnnviz.training.target import spec_for

HE = Init(weights="he", bias=0.0)
GLOROT = Init(weights="glorot", bias=0.0)
SATURATING = ("Sigmoid", "Tanh")
"""Types of activations that are flat far from 0."""


def kept(changes: Iterable[Change | None], recipe: Recipe) -> tuple[Change, ...]:
    """Those that are there, can be made, and change something."""
    return tuple(change for change in changes if change is not None and _possible(change, recipe))


def started(recipe: Recipe) -> Change | None:
    """Weights by He's rule, or by Glorot's where activations are flat far from 0; biases at 0."""
    if recipe.layers is not None:
        function = _functions(recipe.layers) & {"tanh", "sigmoid"}
        rule, name = (GLOROT, "Glorot's") if function else (HE, "He's")
        why = f"{name} rule draws weights so that each layer hands on as much signal as it gets; biases at 0."
        return Change({"layers": _each(recipe.layers, lambda layer: _begun(layer, rule))}, why)
    return _option(
        recipe,
        "init",
        "he",
        "He's rule draws weights so that each layer hands on as much signal as it gets; biases at 0.",
    )


def normalised(recipe: Recipe) -> Change | None:
    """Batch normalisation after each layer with weights that an activation follows."""
    why = "Batch normalisation brings every layer's signal back to a spread of 1, whatever the weights are."
    if recipe.layers is None:
        return _option(recipe, "normalisation", "batch", why)
    if any(isinstance(layer, BatchNorm) for layer in recipe.layers.layers):
        return None
    made: list[Layer] = []
    for layer in recipe.layers.layers:
        if isinstance(layer, Activation) and made and isinstance(made[-1], Conv | Linear):
            made.append(BatchNorm())
        made.append(layer)
    return Change({"layers": _document(recipe.layers, made)}, why)


def rectified(recipe: Recipe) -> Change | None:
    """ReLU in place of sigmoid or tanh, and weights by He's rule, which is made for it."""
    why = "ReLU hands gradients on whole where it is on; He's rule is the start that goes with it."
    if recipe.layers is None:
        options = {"activation": "relu", "init": "he"}
        able = {name: value for name, value in options.items() if _offers(recipe, name, value)}
        return Change({"options": able}, why) if "activation" in able else None
    if not _functions(recipe.layers) & {"tanh", "sigmoid"}:
        return None
    return Change({"layers": _each(recipe.layers, lambda layer: _on(_begun(layer, HE)))}, why)


def scaled() -> Change:
    """Pixels with mean 0 and spread 1."""
    return Change(
        {"scale": "standardised"},
        "Standardised pixels have mean 0 and spread 1 in each channel, as rules for initial weights expect.",
    )


def rate(recipe: Recipe, wanted: float, why: str) -> Change:
    """Another learning rate, rounded to 1, 2, 3 or 5 times a power of ten."""
    return Change({"lr": rounded(min(max(wanted, 1e-7), 10.0))}, why)


def faster_batch_norm(recipe: Recipe, momentum: float) -> Change | None:
    """Batch normalization whose running statistics follow with at least this momentum; layer lists only."""
    if recipe.layers is None:
        return None

    def faster(layer: Layer) -> Layer:
        slow = isinstance(layer, BatchNorm) and layer.momentum < momentum
        return layer.model_copy(update={"momentum": momentum}) if slow else layer

    why = f"With momentum {momentum:g} running statistics look back on some {1 / momentum:.0f} batches only."
    return Change({"layers": _each(recipe.layers, faster)}, why)


def longer(evidence: Evidence, steps: int) -> Change | None:
    """As many epochs as `steps` steps take; None where that is more than a run can be asked for."""
    epochs = -(-steps // evidence.steps_per_epoch)
    if epochs <= evidence.recipe.epochs or affordable_epochs(evidence, epochs) < epochs:
        return None
    return Change({"epochs": epochs}, f"{epochs:,} epochs are {epochs * evidence.steps_per_epoch:,} steps.")


def rounded(value: float) -> float:
    """The nearest of 1, 2, 3 and 5 times a power of ten, on a logarithmic scale."""
    power = math.floor(math.log10(value))
    near = min((1, 2, 3, 5, 10), key=lambda digit: abs(math.log10(value / 10**power / digit)))
    return float(f"{near}e{power}")


def _begun(layer: Layer, rule: Init) -> Layer:
    return layer.model_copy(update={"init": rule}) if hasattr(layer, "init") else layer


def _on(layer: Layer) -> Layer:
    if isinstance(layer, Activation) and layer.function in ("tanh", "sigmoid"):
        return layer.model_copy(update={"function": "relu"})
    return layer


def _each(layers: LayerList, change: Callable[[Layer], Layer]) -> dict[str, Any]:
    return _document(layers, [change(layer) for layer in layers.layers])


def _document(layers: LayerList, made: list[Layer]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layers.model_copy(update={"layers": tuple(made)}).write())
    return document


def _functions(layers: LayerList) -> set[str]:
    return {layer.function for layer in layers.layers if isinstance(layer, Activation)}


def _option(recipe: Recipe, name: str, value: str, why: str) -> Change | None:
    return Change({"options": {name: value}}, why) if _offers(recipe, name, value) else None


def _offers(recipe: Recipe, name: str, value: str) -> bool:
    """Whether the model has that option with that choice, and it is not made already."""
    if recipe.layers is not None:
        return False
    try:
        spec = spec_for(recipe)
    except ValueError:
        return False
    info = spec.options.model_fields.get(name)
    return info is not None and value in choices(info) and recipe.options.get(name, info.default) != value


def _possible(change: Change, recipe: Recipe) -> bool:
    try:
        return bool(change.recipe(recipe).difference(recipe))
    except ValueError:
        return False
