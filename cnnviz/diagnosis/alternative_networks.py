"""Alternative networks for the same task, as recipe values that a finding proposes. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from typing import Any

from cnnviz import models
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.models.layers import Activation, Conv, Dropout, Flatten, Layer, LayerList, Linear, Pool
from cnnviz.training import Recipe

SMALLER = {
    "alexnet-cifar10": "small-alexnet",
    "alexnet-bn-227": "small-googlenet-32",
    "alexnet": "small-googlenet-32",
    "small-alexnet": "small-googlenet-32",
    "vgg16-bn-32": "small-googlenet-32",
    "resnet18-32": "small-googlenet-32",
    "googlenet-32": "small-googlenet-32",
    "googlenet": "googlenet-32",
    "googlenet-aux": "googlenet-32",
    "inception-naive": "googlenet-32",
}
"""Registered model → the next smaller one for the same images."""
LARGER = {"lenet5": "small-googlenet-32", "lenet5-1998": "lenet5", "small-googlenet-32": "googlenet-32"}
"""Registered model → the next larger one."""
MAX_WIDTH = 512
"""Most channels or units that a layer is widened to: the widest of VGG-16 and ResNet-18."""
SMALLEST_IN_COLOR = "small-googlenet-32"
"""The smallest registered model with color input."""
SMALL_SIDES = {
    "googlenet": "googlenet-32",
    "googlenet-aux": "googlenet-32",
    "inception-naive": "googlenet-32",
    "alexnet": "alexnet-cifar10",
}
"""Model for large images → the one for small images."""


def registered_model(name: str) -> dict[str, Any]:
    """Return recipe values for a registered model with its default size and options."""
    return {"model": name, "layers": None, "options": {}, "size": None}


def uses_augmentation(recipe: Recipe) -> bool:
    """Return whether the recipe uses data augmentation."""
    shifted = recipe.pad_crop or recipe.crop_from or recipe.cutout or recipe.flip != "none"
    return bool(shifted or recipe.colour_jitter or recipe.pca_jitter)


def dropout_rates(evidence: Evidence) -> dict[str, float]:
    """Return the rate of each dropout layer, by name; registered models have one rate for all."""
    if evidence.dropout is not None:
        return dict(evidence.dropout)
    recipe = evidence.recipe
    if recipe.layers is not None:
        named = zip(recipe.layers.names(), recipe.layers.layers, strict=True)
        return {name: layer.p for name, layer in named if isinstance(layer, Dropout) and layer.p}
    rate = _option(recipe, "dropout")
    names = [layer.name for layer in evidence.layers if layer.type.startswith("Dropout")]
    return dict.fromkeys(names or ["dropout"], rate) if rate else {}


def with_dropout(recipe: Recipe, most: float) -> dict[str, Any] | None:
    """Return recipe values with dropout of at most `most`; None for a model without that option."""
    if recipe.layers is not None:
        return _map_layers(recipe.layers, lambda layer: _with_max_dropout(layer, most))
    return None if _option(recipe, "dropout") is None else {"options": {"dropout": most}}


def widen(layers: LayerList, times: int) -> dict[str, Any]:
    """Return recipe values with `times` as many channels and hidden units, up to `MAX_WIDTH`."""

    def widened(layer: Layer) -> Layer:
        if isinstance(layer, Conv | Linear) and isinstance(layer.out, int):
            return layer.model_copy(update={"out": min(layer.out * times, MAX_WIDTH)})
        return layer

    return _map_layers(layers, widened)


def remove_layers(layers: LayerList, names: Collection[str]) -> dict[str, Any]:
    """Return recipe values without the layers `names`; the other layers keep their names."""
    named = zip(layers.names(), layers.layers, strict=True)
    remaining = [layer.model_copy(update={"name": name}) for name, layer in named if name not in names]
    return _document(layers.model_copy(update={"layers": tuple(remaining)}))


def widen_bottlenecks(layers: LayerList, values: int) -> dict[str, Any]:
    """Return recipe values in which every layer before the last outputs at least `values` values.

    A pooling layer only passes on what the convolution before it outputs, so that convolution is widened.
    """
    required: dict[int, int] = {}
    last_widenable: int | None = None
    for index, step in enumerate(layers.steps()):
        shape = step.output_shape
        if isinstance(step.layer, Conv | Linear):
            last_widenable = index if isinstance(step.layer.out, int) else None
        if last_widenable is not None and shape and len(shape) in (1, 3):
            flat = isinstance(step.layer, Flatten)
            cells = 1 if flat else max(1, math.prod(shape[1:]))
            minimum = 0 if flat else min(MAX_WIDTH, -(-values // cells))
            required[last_widenable] = max(required.get(last_widenable, 0), minimum)

    def widened(index: int, layer: Layer) -> Layer:
        if (
            isinstance(layer, Conv | Linear)
            and isinstance(layer.out, int)
            and layer.out < required.get(index, 0)
        ):
            groups = layer.groups if isinstance(layer, Conv) else 1
            return layer.model_copy(update={"out": -(-required[index] // groups) * groups})
        return layer

    changed = tuple(widened(index, layer) for index, layer in enumerate(layers.layers))
    return _document(layers.model_copy(update={"layers": changed}))


def with_input_channels(layers: LayerList, channels: int) -> dict[str, Any]:
    """Return recipe values with `channels` input channels."""
    _, height, width = layers.input
    return _document(layers.model_copy(update={"input": (channels, height, width)}))


def small_network(shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """Return recipe values for a small CNN: two convolutions and one fully connected layer."""
    layers: list[Layer] = []
    for index, maps in enumerate((16, 32), 1):
        layers += [
            Conv(name=f"conv{index}", out=maps, kernel=5, padding=2),
            Activation.model_validate({"name": f"relu{index}", "function": "relu"}),
            Pool(name=f"pool{index}", kernel=2),
        ]
    last = [Flatten(name="flatten"), Linear(name="fc", out="classes")]
    return _document(
        LayerList.model_validate(
            {"name": "small convolutions", "input": shape, "classes": classes, "layers": [*layers, *last]}
        )
    )


def spec_options(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the recipe's registered model; empty for a model that no longer exists."""
    if recipe.layers is not None:
        return {}
    try:
        return models.get(recipe.model).options.parse(recipe.options).model_dump()
    except ValueError:
        return {}


def _option(recipe: Recipe, name: str) -> float | None:
    value = spec_options(recipe).get(name)
    return float(value) if isinstance(value, int | float) else None


def _with_max_dropout(layer: Layer, most: float) -> Layer:
    if isinstance(layer, Dropout) and layer.p > most:
        return layer.model_copy(update={"p": most})
    return layer


def _map_layers(layers: LayerList, change: Callable[[Layer], Layer]) -> dict[str, Any]:
    return _document(layers.model_copy(update={"layers": tuple(map(change, layers.layers))}))


def _document(layers: LayerList) -> dict[str, Any]:
    return {"layers": json.loads(layers.write())}
