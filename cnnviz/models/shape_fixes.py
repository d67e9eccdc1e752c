"""What would fit: small changes after which the first misfit of a layer list is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnnviz.models.layer_list_edit import add, move, new_layer, set_field
from cnnviz.models.layers import LayerList, Linear, Step
from cnnviz.models.layers.base import pair

MOST_PADDING = 8


@dataclass(frozen=True)
class Fix:
    """A change that fixes the first misfit: what it does, in a few words, and the list after it."""

    label: str
    document: LayerList


def misfit(document: LayerList) -> int | None:
    """The place of the first layer that does not fit; the list's length where only its end is wrong.

    None where the list can be built.
    """
    for place, step in enumerate(document.steps()):
        if step.problem:
            return place
    return len(document.layers) if document.problem() else None


def fixes(document: LayerList) -> tuple[Fix, ...]:
    """Changes that fix the first misfit, the most likely first; none where nothing simple would."""
    place = misfit(document)
    if place is None or not document.layers:
        return ()
    steps = list(document.steps())
    candidates = _end(document, steps) if place == len(steps) else _layer(document, steps, place)
    return tuple(fix for fix in candidates if _further(fix.document, document))


def _further(after: LayerList, before: LayerList) -> bool:
    """Whether the first misfit is gone or nearer to the end: adding layers alone is no progress."""
    now, then = misfit(after), misfit(before)
    return now is None or (then is not None and len(after.layers) - now < len(before.layers) - then)


def _layer(document: LayerList, steps: list[Step], place: int) -> Iterator[Fix]:
    shape, layer = steps[place].input_shape, steps[place].layer
    assert shape is not None
    if len(shape) == 1:
        yield from _needs_maps(document, steps, place)
    elif isinstance(layer, Linear):
        yield from _needs_vector(document, place)
    else:
        yield from _smaller(document, place, "kernel")
        yield from _padded(document, place)
        yield from _smaller(document, place, "groups")


def _needs_maps(document: LayerList, steps: list[Step], place: int) -> Iterator[Fix]:
    if getattr(steps[place].layer, "maps", False):
        yield Fix("Drop single values", set_field(document, place, "maps", False))
    vector = next(i for i, step in enumerate(steps) if step.output_shape and len(step.output_shape) == 1)
    yield Fix(f"Move it before {steps[vector].name}", move(document, place, vector))


def _needs_vector(document: LayerList, place: int) -> Iterator[Fix]:
    flatten, pool = new_layer("flatten"), new_layer("global_pool")
    yield Fix("Flatten before it", add(document, place, flatten))
    yield Fix("Average each map before it", add(document, place, pool, flatten))


def _smaller(document: LayerList, place: int, field: str) -> Iterator[Fix]:
    """The largest smaller value of a field that fits."""
    value = getattr(document.layers[place], field, None)
    for smaller in range(max(pair(value)) - 1 if value is not None else 0, 0, -1):
        fixed = set_field(document, place, field, smaller)
        if _further(fixed, document):
            yield Fix(f"{field.capitalize()} {smaller}", fixed)
            return


def _padded(document: LayerList, place: int) -> Iterator[Fix]:
    padding = getattr(document.layers[place], "padding", None)
    if padding is None:
        return
    # From 0: a pooling layer may be padded too much for its kernel.
    for other in range(MOST_PADDING + 1):
        fixed = set_field(document, place, "padding", other)
        if _further(fixed, document):
            yield Fix(f"Padding {other}", fixed)
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
