"""A network a part as wide, small enough for a laptop, that hands a signal on as the wide one does."""

from __future__ import annotations

import math

from cnnviz.models.layers import Conv, Init, Layer, LayerList, Linear
from cnnviz.models.layers.base import AnyShape, pair


def fan_in(layer: Conv | Linear, entering: AnyShape) -> int:
    """How many values one output of `layer` sums where `entering`, `(C, H, W)` or `(F,)`, comes in."""
    if isinstance(layer, Linear):
        return entering[0]
    height, width = pair(layer.kernel)
    return entering[0] // layer.groups * height * width


def narrower(layers: LayerList, *, by: int, hidden: int, side: int) -> LayerList:
    """`layers` with a `by`-th of the maps, `hidden` units and inputs of `side`×`side` pixels.

    A layer with weights N(0, σ²) over n inputs of mean square q gives outputs of spread σ·√(n·q). So that the
    narrow network begins as the wide one does, σ grows by √(n wide / n narrow); the other rules (He, Glorot,
    PyTorch's) depend on n by themselves.

    Args:
        layers: A chain whose layers fit.
        by: What widths of convolutions are divided by, rounded up.
        hidden: Width of every fully connected layer but the last.
        side: Height and width of the new input.

    Raises `ValueError` where the layers do not fit such an input.
    """
    slim = [_slimmer(layer, by, hidden) for layer in layers.layers]
    before = _fans(layers)
    made = _with(layers, slim, side)
    after = _fans(made)
    again = [
        _stronger(layer, math.sqrt(before[name] / after[name])) if name in after else layer
        for name, layer in zip(made.names(), slim, strict=True)
    ]
    return _with(layers, again, side)


def _with(old: LayerList, layers: list[Layer], side: int) -> LayerList:
    made = LayerList.model_validate(
        {
            "name": f"{old.name}-narrow",
            "input": (old.input[0], side, side),
            "classes": old.classes,
            "layers": layers,
        }
    )
    if made.problem():
        raise ValueError(made.problem())
    return made


def _fans(layers: LayerList) -> dict[str, int]:
    return {
        step.name: fan_in(step.layer, step.input_shape)
        for step in layers.steps()
        if isinstance(step.layer, Conv | Linear) and step.input_shape is not None
    }


def _slimmer(layer: Layer, by: int, hidden: int) -> Layer:
    if isinstance(layer, Conv):
        return layer.model_copy(update={"out": -(-layer.out // by)})
    if isinstance(layer, Linear) and layer.out != "classes":
        return layer.model_copy(update={"out": hidden})
    return layer


def _stronger(layer: Layer, by: float) -> Layer:
    start: Init = layer.init  # type: ignore[attr-defined]
    if start.weights != "normal":
        return layer
    return layer.model_copy(update={"init": start.model_copy(update={"std": start.std * by})})
