"""Layer names: rows of the layer table, later calls of shared modules, operations within containers.

`conv1` is the output of module `conv1`, `relu@2` that of the second call of `relu`, `layer1.0:add` that of
the addition in `layer1.0`'s own forward, and `features:concat@2` that of the second concatenation in
`features`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from rapidfuzz import process

from cnnviz.analysis.types import Analysis, Kind, ReceptiveField, Shape
from cnnviz.interpret import UnknownLayerError

SOFTMAX = "softmax"
"""Name of the probabilities, which are not a row of the architecture's table."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer whose output can be recorded."""

    name: str
    row: str
    """Row of the layer table that it belongs to."""
    kind: Kind
    output_shape: Shape
    """Without the batch."""


def slug(label: str) -> str:
    """Return an operation's label in the spelling of layer names."""
    return label.replace(" ", "-")


def numbered(name: str, number: int) -> str:
    """Return the name of call `number`, counted from 1."""
    return name if number == 1 else f"{name}@{number}"


def layers(analysis: Analysis) -> tuple[Layer, ...]:
    """Return the rows that take part in inference and have an output, in order."""
    return tuple(
        Layer(row.name, row.name, row.kind, row.output_shape)
        for row in analysis.predicting
        if row.output_shape and (row.outputs or row.calls)
    )


def inner_layers(analysis: Analysis) -> tuple[Layer, ...]:
    """Return the layers within rows: later calls of shared modules, operations within containers."""
    counts: Counter[str] = Counter()
    names = []
    for node in analysis.graph.nodes[2:]:
        if node.training_only:
            continue
        operation = node.container == node.row and bool(node.label)
        base = f"{node.row}:{slug(node.label)}" if operation else node.row
        counts[base] += 1
        if operation or counts[base] > 1:
            names.append(Layer(numbered(base, counts[base]), node.row, node.kind, node.output_shape))
    return tuple(names)


def selectable_layers(analysis: Analysis) -> dict[str, Layer]:
    """Return all selectable layers by name, in the order of the forward pass, the probabilities last."""
    by_name = {layer.name: layer for layer in layers(analysis)}
    by_name |= {layer.name: layer for layer in inner_layers(analysis)}
    order = {row.name: index for index, row in enumerate(analysis.rows)}
    ordered = sorted(by_name.values(), key=lambda layer: order.get(layer.row, len(order)))
    softmax = Layer(SOFTMAX, SOFTMAX, "activation", (analysis.classes,))
    return {layer.name: layer for layer in ordered} | {SOFTMAX: softmax}


def field_of(analysis: Analysis, layer: Layer) -> ReceptiveField:
    """Return the receptive field of the layer's cells; the whole input if unknown."""
    row = next((row for row in analysis.rows if row.name == layer.row), None)
    return row.receptive_field if row is not None else ReceptiveField(whole=True)


def type_of(analysis: Analysis, layer: Layer) -> str:
    """Return the type of the layer's row, such as `Tanh`."""
    return next((row.type for row in analysis.rows if row.name == layer.row), "")


def unknown(name: str, known: Collection[str]) -> UnknownLayerError:
    """Build the error for an unknown layer, with the closest names."""
    names = [layer for layer in known if layer]  # Without the model itself.
    closest = [match for match, _, _ in process.extract(name, names, limit=3, score_cutoff=50)] or names[:3]
    listed = ", ".join(map(repr, closest)) or "none"
    others = len(names) - len(closest)
    more = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return UnknownLayerError(f"The model has no layer '{name}'; it has {listed}{more}.")
