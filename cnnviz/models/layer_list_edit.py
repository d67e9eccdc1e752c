"""Layer-list editing: pure functions that return a changed list, and suggested fixes of misfits.

An edit may leave a list whose shapes do not fit: `LayerList.steps` shows where, and `fixes` suggests changes.
An edit raises `ValueError`, with one sentence, only for what no list may contain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from rapidfuzz import fuzz

from cnnviz.models.layers import KINDS, Conv, Init, Layer, LayerList, Linear, Step
from cnnviz.models.layers.base import AnyShape, pair
from cnnviz.models.registry import specs
from cnnviz.models.spec import ModelSpec

LIMIT = 500
"""Maximum number of layers of a list."""


def new_layer(kind: str, **fields: Any) -> Layer:
    """Create a layer of a kind, with default values except for `fields`.

    Raises:
        ValueError: For an unknown kind or an invalid field.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind of layer '{kind}'; the kinds are {', '.join(KINDS)}.")
    try:
        return KINDS[kind].model_validate(fields)
    except ValidationError as error:
        raise ValueError(_message(KINDS[kind], error)) from None


def suggest(document: LayerList, index: int, kind: str) -> Layer:
    """Return a layer to insert at `index`, with values that preserve the width and size of its input."""
    shapes = [document.input, *(step.output_shape for step in document.steps())]
    shape = shapes[index] if 0 <= index < len(shapes) else None
    maps = shape if shape is not None and len(shape) == 3 else (32, 32, 32)
    last = index == len(document.layers)
    fields: dict[str, dict[str, Any]] = {
        "conv": {"out": max(16, maps[0]), "kernel": 3, "padding": 1},
        "linear": {"out": "classes" if last else 128},
        "residual": {"out": max(16, maps[0])},
        "resize": {"size": maps[1:]},
    }
    return new_layer(kind, **fields.get(kind, {}))


def set_field(document: LayerList, index: int, field: str, value: Any) -> LayerList:
    """Return the list with one field of the layer at `index` set to another value."""
    current = _at(document, index)
    changed = new_layer(current.kind, **{**_fields(current), field: value})
    if changed.name and any(layer.name == changed.name for layer in _without(document, index)):
        raise ValueError(f"Another layer is called '{changed.name}' already; each needs a name of its own.")
    return _with(document, [*document.layers[:index], changed, *document.layers[index + 1 :]])


def convert(document: LayerList, index: int, kind: str) -> LayerList:
    """Return the list with the layer at `index` converted to another kind; shared fields are preserved."""
    layer = _at(document, index)
    if kind not in KINDS or kind == layer.kind:
        new_layer(kind)
        return document
    shared = {
        field: value
        for field, value in _fields(layer).items()
        if field in KINDS[kind].model_fields and _fits(KINDS[kind], field, value)
    }
    layers = [*document.layers[:index], new_layer(kind, **shared), *document.layers[index + 1 :]]
    return _with(document, layers)


def add(document: LayerList, index: int, *layers: Layer) -> LayerList:
    """Return the list with layers inserted before `index`; at the list's length they are appended."""
    if not 0 <= index <= len(document.layers):
        raise ValueError(f"The list has {len(document.layers)} layers; there is no place {index + 1} in it.")
    return _with(document, [*document.layers[:index], *layers, *document.layers[index:]])


def remove(document: LayerList, index: int) -> LayerList:
    """Return the list without the layer at `index`."""
    _at(document, index)
    return _with(document, _without(document, index))


def move(document: LayerList, index: int, to: int) -> LayerList:
    """Return the list with the layer at `index` moved to the index `to`."""
    layer = _at(document, index)
    _at(document, to)
    return add(remove(document, index), to, layer)


def duplicate(document: LayerList, index: int) -> LayerList:
    """Return the list with an unnamed copy of the layer at `index` inserted after it."""
    copy = _at(document, index).model_copy(update={"name": None})
    return add(document, index + 1, copy)


def describe(document: LayerList, **facts: Any) -> LayerList:
    """Return the list with other metadata: `name`, `description`, `input` (C, H, W) or `classes`."""
    try:
        known = {field: getattr(document, field) for field in ("name", "description", "input", "classes")}
        changed = LayerList.model_validate({**known, **facts})
    except ValidationError as error:
        raise ValueError(_message(LayerList, error)) from None
    return changed.model_copy(update={"layers": document.layers})


def compact(document: LayerList) -> str:
    """Serialize the list as JSON without whitespace."""
    return json.dumps(json.loads(document.write()), ensure_ascii=False, separators=(",", ":"))


def _at(document: LayerList, index: int) -> Layer:
    if not 0 <= index < len(document.layers):
        raise ValueError(f"The list has {len(document.layers)} layers; there is no layer {index + 1} in it.")
    return document.layers[index]


def _without(document: LayerList, index: int) -> list[Layer]:
    return [*document.layers[:index], *document.layers[index + 1 :]]


def _with(document: LayerList, layers: Iterable[Layer]) -> LayerList:
    layers = tuple(layers)
    if len(layers) > LIMIT:
        raise ValueError(f"A layer list has at most {LIMIT} layers; remove one first.")
    return document.model_copy(update={"layers": layers})


def _fields(layer: Layer) -> dict[str, Any]:
    return {field: getattr(layer, field) for field in type(layer).model_fields if field != "kind"}


def _fits(kind: type[Layer], field: str, value: Any) -> bool:
    try:
        kind.model_validate({field: value})
    except ValidationError:
        return False
    return True


def _message(kind: type[Layer] | type[LayerList], error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0])
    if field not in kind.model_fields:
        return f"There is no field '{field}' here; the fields are {', '.join(kind.model_fields)}."
    if first["type"] == "string_pattern_mismatch":
        extra = " . and spaces" if kind is LayerList else ""
        rule = f"begin with a letter; letters, digits, - _{extra} may follow"
        return f"'{first['input']}' cannot be a name: {rule}."
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"The {field} cannot be {first['input']!r}: it {message}."


# The most similar sequential model, for a model that is not sequential.


def nearest_sequential(spec: ModelSpec) -> ModelSpec:
    """Return the built-in sequential model that is most similar to `spec`.

    The one of the same family with the most similar name, or the newest where there is none of that family.
    """
    sequential_specs = [
        candidate
        for candidate in specs().values()
        if candidate.layers is not None and candidate.source == "cnnviz"
    ]
    family = [candidate for candidate in sequential_specs if candidate.family == spec.family]
    if family:
        return max(family, key=lambda candidate: fuzz.ratio(candidate.name, spec.name))
    return max(sequential_specs, key=lambda candidate: candidate.year)


# Suggested fixes: small changes that resolve the first layer that does not fit.

MAX_PADDING = 8


@dataclass(frozen=True)
class Fix:
    """Suggested change that resolves the first misfit: its label and the list after the change."""

    label: str
    document: LayerList


def misfit(document: LayerList) -> int | None:
    """Return the index of the first layer that does not fit.

    Returns:
        The list's length where only the final shape is wrong; None where the list can be built.
    """
    for index, step in enumerate(document.steps()):
        if step.problem:
            return index
    return len(document.layers) if document.problem() else None


def fixes(document: LayerList) -> tuple[Fix, ...]:
    """Return changes that would resolve the first misfit, most likely first; empty where none is simple."""
    index = misfit(document)
    if index is None or not document.layers:
        return ()
    steps = list(document.steps())
    candidates = _end(document, steps) if index == len(steps) else _layer(document, steps, index)
    return tuple(fix for fix in candidates if _further(fix.document, document))


def _further(after: LayerList, before: LayerList) -> bool:
    """Return whether the first misfit is resolved or nearer to the end; added layers alone do not count."""
    after_index, before_index = misfit(after), misfit(before)
    return after_index is None or (
        before_index is not None and len(after.layers) - after_index < len(before.layers) - before_index
    )


def _layer(document: LayerList, steps: list[Step], index: int) -> Iterator[Fix]:
    shape, layer = steps[index].input_shape, steps[index].layer
    assert shape is not None
    if len(shape) == 1:
        yield from _needs_maps(document, steps, index)
    elif isinstance(layer, Linear):
        yield from _needs_vector(document, index)
    else:
        yield from _smaller(document, index, "kernel")
        yield from _padded(document, index)
        yield from _smaller(document, index, "groups")


def _needs_maps(document: LayerList, steps: list[Step], index: int) -> Iterator[Fix]:
    if getattr(steps[index].layer, "maps", False):
        yield Fix("Drop single values", set_field(document, index, "maps", False))
    vector = next(i for i, step in enumerate(steps) if step.output_shape and len(step.output_shape) == 1)
    yield Fix(f"Move it before {steps[vector].name}", move(document, index, vector))


def _needs_vector(document: LayerList, index: int) -> Iterator[Fix]:
    flatten, pool = new_layer("flatten"), new_layer("global_pool")
    yield Fix("Flatten before it", add(document, index, flatten))
    yield Fix("Average each map before it", add(document, index, pool, flatten))


def _smaller(document: LayerList, index: int, field: str) -> Iterator[Fix]:
    """Yield the largest smaller value of a field that fits."""
    value = getattr(document.layers[index], field, None)
    for smaller in range(max(pair(value)) - 1 if value is not None else 0, 0, -1):
        fixed = set_field(document, index, field, smaller)
        if _further(fixed, document):
            yield Fix(f"{field.capitalize()} {smaller}", fixed)
            return


def _padded(document: LayerList, index: int) -> Iterator[Fix]:
    padding = getattr(document.layers[index], "padding", None)
    if padding is None:
        return
    # From 0, since a pooling layer may have too much padding for its kernel.
    for padding_value in range(MAX_PADDING + 1):
        fixed = set_field(document, index, "padding", padding_value)
        if _further(fixed, document):
            yield Fix(f"Padding {padding_value}", fixed)
            return


def _end(document: LayerList, steps: list[Step]) -> Iterator[Fix]:
    last = steps[-1]
    head = new_layer("linear", out="classes")
    if isinstance(last.layer, Linear):
        yield Fix(f"{last.name}: one unit a class", set_field(document, len(steps) - 1, "out", "classes"))
    if last.output_shape and len(last.output_shape) == 1:
        yield Fix("Add a last layer of one unit a class", add(document, len(steps), head))
    else:
        layers = (new_layer("flatten"), head)
        yield Fix("Flatten, then one unit a class", add(document, len(steps), *layers))
        yield Fix(
            "Average each map, then one unit a class",
            add(document, len(steps), new_layer("global_pool"), *layers),
        )


# Width scaling: a narrower network for a laptop, with the signal propagation of the wide one.


def fan_in(layer: Conv | Linear, entering: AnyShape) -> int:
    """Return the fan-in of a layer: the number of input values that one output sums.

    Args:
        layer: Convolution or fully connected layer.
        entering: Input shape, `(C, H, W)` or `(F,)`.
    """
    if isinstance(layer, Linear):
        return entering[0]
    height, width = pair(layer.kernel)
    return entering[0] // layer.groups * height * width


def scale_width(layers: LayerList, *, by: int, hidden: int, side: int) -> LayerList:
    """Scale a network down: widths divided by `by`, `hidden` units and `side`×`side` inputs.

    A layer with weights N(0, σ²) over n inputs of mean square q has outputs of standard deviation σ·√(n·q).
    To preserve the wide network's signal propagation at initialization, σ grows by √(n wide / n narrow); the
    other rules (He, Glorot, PyTorch's) depend on n by themselves.

    Args:
        layers: A sequential network whose layers fit.
        by: Divisor of the convolutions' output channels, rounded up.
        hidden: Width of every fully connected layer but the last.
        side: Height and width of the new input.

    Raises:
        ValueError: Where the layers do not fit such an input.
    """
    slim = [_slimmer(layer, by, hidden) for layer in layers.layers]
    fans_before = _fans(layers)
    scaled = _with_layers(layers, slim, side)
    fans_after = _fans(scaled)
    rescaled = [
        _stronger(layer, math.sqrt(fans_before[name] / fans_after[name])) if name in fans_after else layer
        for name, layer in zip(scaled.names(), slim, strict=True)
    ]
    return _with_layers(layers, rescaled, side)


def _with_layers(old: LayerList, layers: list[Layer], side: int) -> LayerList:
    scaled = LayerList.model_validate(
        {
            "name": f"{old.name}-narrow",
            "input": (old.input[0], side, side),
            "classes": old.classes,
            "layers": layers,
        }
    )
    if scaled.problem():
        raise ValueError(scaled.problem())
    return scaled


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
