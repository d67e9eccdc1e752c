"""How a layer is named: by its row in the architecture's table, and further where a row does several things.

`conv1` is what module `conv1` gives, `relu@2` what `relu` gives when it is called the second time,
`layer1.0:add` the sum that `layer1.0` makes between its children. `features:concat@2` is the second of its
kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from rapidfuzz import process

from cnnviz.analysis.types import Analysis, Kind, Shape
from cnnviz.interpret import UnknownLayerError


@dataclass(frozen=True, slots=True)
class Layer:
    """Something whose output can be looked at."""

    name: str
    row: str
    """The row of the architecture's table that it belongs to."""
    kind: Kind
    output_shape: Shape
    """Without the batch."""


def slug(label: str) -> str:
    """An operation's label as it stands in a layer's name."""
    return label.replace(" ", "-")


def numbered(name: str, number: int) -> str:
    """The name of the `number`th time, counted from 1."""
    return name if number == 1 else f"{name}@{number}"


def layers(analysis: Analysis) -> tuple[Layer, ...]:
    """The rows that take part in a prediction and give something, in order."""
    return tuple(
        Layer(row.name, row.name, row.kind, row.output_shape)
        for row in analysis.predicting
        if row.output_shape and (row.outputs or row.calls)
    )


def inner_layers(analysis: Analysis) -> tuple[Layer, ...]:
    """What rows give besides: later calls of shared modules, operations between a container's children."""
    counts: Counter[str] = Counter()
    names = []
    for node in analysis.graph.nodes[2:]:
        if node.training_only:
            continue
        between = node.container == node.row and bool(node.label)
        base = f"{node.row}:{slug(node.label)}" if between else node.row
        counts[base] += 1
        if between or counts[base] > 1:
            names.append(Layer(numbered(base, counts[base]), node.row, node.kind, node.output_shape))
    return tuple(names)


def unknown(name: str, known: Collection[str]) -> UnknownLayerError:
    """The error for a layer that there is not, with the nearest names."""
    near = [match for match, _, _ in process.extract(name, list(known), limit=3, score_cutoff=50)]
    if not near:
        near = list(known)[:3]
    return UnknownLayerError(f"The model has no layer '{name}'; it has {', '.join(map(repr, near))}.")
