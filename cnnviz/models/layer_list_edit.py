"""Changes to a layer list. Each returns a new list, or raises `ValueError` with one sentence.

A change may leave a list whose shapes do not fit: `LayerList.steps` shows where, and
`cnnviz.models.shape_fixes` what would. Only what no list may hold is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from rapidfuzz import fuzz

from cnnviz.models.layers import KINDS, Layer, LayerList
from cnnviz.models.registry import specs
from cnnviz.models.spec import ModelSpec

LIMIT = 500
"""The most layers a list may have."""


def new_layer(kind: str, **fields: Any) -> Layer:
    """A layer of that kind with its defaults but for `fields`."""
    if kind not in KINDS:
        raise ValueError(f"There is no kind of layer '{kind}'; the kinds are {', '.join(KINDS)}.")
    try:
        return KINDS[kind].model_validate(fields)
    except ValidationError as error:
        raise ValueError(_message(KINDS[kind], error)) from None


def suggest(document: LayerList, place: int, kind: str) -> Layer:
    """A layer of that kind to put before the one at `place`, set so that it keeps widths and sizes."""
    shapes = [document.input, *(step.output_shape for step in document.steps())]
    shape = shapes[place] if 0 <= place < len(shapes) else None
    maps = shape if shape is not None and len(shape) == 3 else (32, 32, 32)
    last = place == len(document.layers)
    fields: dict[str, dict[str, Any]] = {
        "conv": {"out": max(16, maps[0]), "kernel": 3, "padding": 1},
        "linear": {"out": "classes" if last else 128},
        "residual": {"out": max(16, maps[0])},
        "resize": {"size": maps[1:]},
    }
    return new_layer(kind, **fields.get(kind, {}))


def set_field(document: LayerList, place: int, field: str, value: Any) -> LayerList:
    """Give one field of the layer at `place` another value."""
    layer = _at(document, place)
    changed = new_layer(layer.kind, **{**_fields(layer), field: value})
    if changed.name and any(other.name == changed.name for other in _without(document, place)):
        raise ValueError(f"Another layer is called '{changed.name}' already; each needs a name of its own.")
    return _with(document, [*document.layers[:place], changed, *document.layers[place + 1 :]])


def convert(document: LayerList, place: int, kind: str) -> LayerList:
    """Make the layer at `place` one of another kind, keeping the fields that both have."""
    layer = _at(document, place)
    if kind not in KINDS or kind == layer.kind:
        new_layer(kind)
        return document
    shared = {
        field: value
        for field, value in _fields(layer).items()
        if field in KINDS[kind].model_fields and _fits(KINDS[kind], field, value)
    }
    layers = [*document.layers[:place], new_layer(kind, **shared), *document.layers[place + 1 :]]
    return _with(document, layers)


def add(document: LayerList, place: int, *layers: Layer) -> LayerList:
    """Put layers before the one at `place`; at the list's length they come last."""
    if not 0 <= place <= len(document.layers):
        raise ValueError(f"The list has {len(document.layers)} layers; there is no place {place + 1} in it.")
    return _with(document, [*document.layers[:place], *layers, *document.layers[place:]])


def remove(document: LayerList, place: int) -> LayerList:
    """Take the layer at `place` out."""
    _at(document, place)
    return _with(document, _without(document, place))


def move(document: LayerList, place: int, to: int) -> LayerList:
    """Take the layer at `place` out and put it back so that it stands at `to`."""
    layer = _at(document, place)
    _at(document, to)
    return add(remove(document, place), to, layer)


def duplicate(document: LayerList, place: int) -> LayerList:
    """Put a copy of the layer at `place` behind it, without its name."""
    copy = _at(document, place).model_copy(update={"name": None})
    return add(document, place + 1, copy)


def describe(document: LayerList, **facts: Any) -> LayerList:
    """Change what the list says of itself: `name`, `description`, `input` (C, H, W), `classes`."""
    try:
        known = {field: getattr(document, field) for field in ("name", "description", "input", "classes")}
        changed = LayerList.model_validate({**known, **facts})
    except ValidationError as error:
        raise ValueError(_message(LayerList, error)) from None
    return changed.model_copy(update={"layers": document.layers})


def compact(document: LayerList) -> str:
    """The document as JSON without spaces."""
    return json.dumps(json.loads(document.write()), ensure_ascii=False, separators=(",", ":"))


def _at(document: LayerList, place: int) -> Layer:
    if not 0 <= place < len(document.layers):
        raise ValueError(f"The list has {len(document.layers)} layers; there is no layer {place + 1} in it.")
    return document.layers[place]


def _without(document: LayerList, place: int) -> list[Layer]:
    return [*document.layers[:place], *document.layers[place + 1 :]]


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


# The nearest model that is a plain list of layers, for one that is not.


def nearest_sequential(spec: ModelSpec) -> ModelSpec:
    """Of our models that can be had as a layer list, the one most like `spec`.

    One of its own family with the most similar name, or the newest where there is none of its family.
    """
    lists = [other for other in specs().values() if other.layers is not None and other.source == "cnnviz"]
    family = [other for other in lists if other.family == spec.family]
    if family:
        return max(family, key=lambda other: fuzz.ratio(other.name, spec.name))
    return max(lists, key=lambda other: other.year)
