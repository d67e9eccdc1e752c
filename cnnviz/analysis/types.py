"""Types of the static analysis as plain data: no torch, no drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from cnnviz.analysis import worked_numbers

# What the static analysis finds, as plain data: no torch, no drawing.

Kind = Literal["conv", "fc", "norm", "pool", "activation", "attention", "recurrent", "other"]
KINDS: tuple[Kind, ...] = ("conv", "fc", "norm", "pool", "activation", "attention", "recurrent", "other")
KIND_TITLES: dict[Kind, str] = {
    "conv": "convolution",
    "fc": "fully connected",
    "norm": "normalisation",
    "pool": "pooling",
    "activation": "activation",
    "attention": "attention",
    "recurrent": "recurrent",
    "other": "join or other",
}
BYTES = 4
"""Bytes of one value; figures are for 32-bit floats."""
MIB = 2**20
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Which input pixels one output cell sees: (vertical, horizontal), in input pixels.

    Cell i sees `start + i·jump … start + i·jump + size − 1`; a negative start lies in the padding. The
    recurrences are those of Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
    networks", Distill, 2019. `whole` means that a cell sees all of the input, behind attention, global
    pooling or a flatten; size, jump and start then tell nothing.
    """

    size: tuple[float, float] = (1, 1)
    jump: tuple[float, float] = (1, 1)
    start: tuple[float, float] = (0, 0)
    whole: bool = False

    def box(self, cell: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The pixels `(top, left, bottom, right)`, ends excluded, that `cell` sees of an input of (H, W)."""
        if self.whole:
            return (0, 0, *input_size)
        low = [s + i * j for s, i, j in zip(self.start, cell, self.jump, strict=True)]
        high = [a + n for a, n in zip(low, self.size, strict=True)]
        top, left = (max(0, math.floor(a)) for a in low)
        bottom, right = (min(side, math.ceil(b)) for b, side in zip(high, input_size, strict=True))
        return top, left, bottom, right

    def __str__(self) -> str:
        if self.whole:
            return "whole input"
        return "×".join(f"{side:g}" for side in self.size)


WHOLE = ReceptiveField(whole=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A module's own work: a layer's, or what a container computes between its children.

    Shapes are without the batch; counts are for one image. Parameters count at the first row that holds
    them; `shared_with` names that row at the others.
    """

    name: str
    """Qualified name in the model; empty for the model itself."""
    type: str
    kind: Kind
    input_shape: Shape
    output_shape: Shape
    settings: dict[str, Any] = field(default_factory=dict)
    """`in`, `out`, `kernel`, `stride`, `padding`, `dilation`, `groups`, `bias`, … as far as they apply."""
    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    """Values that are stored but not trained, as running statistics."""
    macs: int = 0
    """Products of a convolution, a linear layer or a matrix product, without bias."""
    elementwise: int = 0
    """Other arithmetic: one operation a value an activation, a sum or a bias takes."""
    outputs: int = 0
    """Values written, views not counted."""
    receptive_field: ReceptiveField = WHOLE
    calls: int = 1
    training_only: bool = False
    """Takes no part in a prediction: an auxiliary classifier. Its arithmetic stands outside the totals."""
    shared_with: str = ""

    @property
    def params(self) -> int:
        """Trainable and frozen parameters."""
        return self.trainable + self.frozen

    @property
    def container(self) -> str:
        """Qualified name of the module around this one."""
        return self.name.rpartition(".")[0]

    def activation_bytes(self, batch: int = 1) -> int:
        """Memory of the values that this row writes forward."""
        return self.outputs * BYTES * batch

    def backward_bytes(self, batch: int = 1) -> int:
        """Memory of their gradients while training: one for each value."""
        return self.activation_bytes(batch)

    @property
    def formula(self) -> str:
        """The parameter count worked out, as `96·(3·4·4 + 1) = 4,704`; empty where there are none."""
        return worked_numbers.parameters(self)


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the module graph: one call of a layer, or one operation between layers."""

    id: int
    row: str
    """Name of the row that it belongs to."""
    label: str
    kind: Kind
    container: str
    """Qualified name of the container that it is drawn in."""
    output_shape: Shape
    training_only: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A container, and how it repeats: `repeats` equal siblings stand in a row, this one the first."""

    name: str
    type: str
    repeats: int = 1
    repeat_of: str = ""
    """The first of the row, for the others."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The flow of data between layers. Node 0 is the input, node 1 the output."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Analysis:
    """All that is known of an architecture without running it; a notebook shows it as a table."""

    model: str
    title: str
    input_shape: Shape
    classes: int
    options: dict[str, Any]
    rows: tuple[Row, ...]
    graph: Graph
    notes: tuple[str, ...] = ()
    """What could not be counted exactly, in sentences."""

    def __repr__(self) -> str:
        sides = "×".join(map(str, self.input_shape))
        counts = f"{self.total_params:,} parameters, {self.macs:,} multiply-adds"
        return f"<Analysis of {self.title}: {sides}, {len(self.rows)} layers, {counts}>"

    @property
    def total_params(self) -> int:
        """All parameters, shared ones once."""
        return sum(row.params for row in self.rows)

    @property
    def trainable_params(self) -> int:
        """Parameters that training changes."""
        return sum(row.trainable for row in self.rows)

    @property
    def conv_params(self) -> int:
        """Parameters in convolutions."""
        return self.params_of("conv")

    @property
    def fc_params(self) -> int:
        """Parameters in fully connected layers, the projections of attention among them.

        What else attention holds, as a table of positions, is none: only `nn.MultiheadAttention` counts.
        """
        projections = (row for row in self.rows if row.kind == "attention" and _projects(row))
        return self.params_of("fc") + sum(row.params for row in projections)

    @property
    def norm_params(self) -> int:
        """Parameters in normalisation layers."""
        return self.params_of("norm")

    @property
    def other_params(self) -> int:
        """Parameters in none of these: position embeddings, class tokens, gains."""
        return self.total_params - self.conv_params - self.fc_params - self.norm_params

    @property
    def macs(self) -> int:
        """Multiply-adds of one prediction."""
        return sum(row.macs for row in self.predicting)

    @property
    def elementwise(self) -> int:
        """Element-wise operations of one prediction."""
        return sum(row.elementwise for row in self.predicting)

    @property
    def predicting(self) -> tuple[Row, ...]:
        """The rows that take part in a prediction."""
        return tuple(row for row in self.rows if not row.training_only)

    def params_of(self, *kinds: Kind) -> int:
        """Parameters in rows of these kinds."""
        return sum(row.params for row in self.rows if row.kind in kinds)

    def macs_of(self, *kinds: Kind) -> int:
        """Multiply-adds of a prediction in rows of these kinds."""
        return sum(row.macs for row in self.predicting if row.kind in kinds)

    def forward_bytes(self, batch: int = 1) -> int:
        """Memory of every value written forward."""
        return sum(row.activation_bytes(batch) for row in self.predicting)

    def training_bytes(self, batch: int = 1) -> int:
        """The same with a gradient for each value: the "forward/backward" of the articles' summaries."""
        return 2 * self.forward_bytes(batch)

    @property
    def parameter_bytes(self) -> int:
        """Memory of the parameters."""
        return self.total_params * BYTES

    def share_of_params(self, row: Row) -> float:
        """A row's part of all parameters, from 0 to 1."""
        return row.params / max(self.total_params, 1)

    def share_of_macs(self, row: Row) -> float:
        """A row's multiply-adds against those of one prediction; 0 for a row that takes no part in it."""
        return 0.0 if row.training_only else row.macs / max(self.macs, 1)

    def row(self, name: str) -> Row:
        """The row called `name`; raises `KeyError`."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


def _projects(row: Row) -> bool:
    """Whether an attention row's parameters are its projections, as of `nn.MultiheadAttention`."""
    return row.type.endswith("MultiheadAttention")


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring rows drawn as one column, named by the container that holds them."""

    name: str
    rows: tuple[Row, ...]

    @property
    def params(self) -> int:
        """Parameters of all its rows."""
        return sum(row.params for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-adds of all its rows, training-only ones included."""
        return sum(row.macs for row in self.rows)

    @property
    def outputs(self) -> int:
        """Values written by all its rows."""
        return sum(row.outputs for row in self.rows)

    @property
    def kind(self) -> Kind:
        """The kind that holds most parameters, or does most arithmetic where none holds any."""
        weight = dict.fromkeys(KINDS, (0, 0, 0))
        for row in self.rows:
            p, m, n = weight[row.kind]
            weight[row.kind] = (p + row.params, m + row.macs, n + row.outputs)
        return max(KINDS, key=lambda kind: weight[kind])


def grouped(rows: Iterable[Row], limit: int) -> tuple[Group, ...]:
    """Rows as at most about `limit` columns: each its own where they fit, otherwise by container.

    The greatest depth of names that fits is taken. The order is kept; a container met again starts a new
    group.
    """
    rows = tuple(rows)
    deepest = max((row.name.count(".") + 1 for row in rows), default=1)
    for depth in range(deepest, 0, -1):
        groups = _runs(rows, depth)
        if len(groups) <= limit:
            return groups
    return _runs(rows, 1)


def _runs(rows: tuple[Row, ...], depth: int) -> tuple[Group, ...]:
    runs: list[tuple[str, list[Row]]] = []
    for row in rows:
        name = ".".join(row.name.split(".")[:depth])
        if runs and runs[-1][0] == name:
            runs[-1][1].append(row)
        else:
            runs.append((name, [row]))
    return tuple(Group(name, tuple(members)) for name, members in runs)


# How deep a network is.


def depth(analysis: Analysis) -> int:
    """Weight layers on the longest path from input to output, those of training alone left out.

    They are convolutions, fully connected layers and attention with projections of its own; 0 for an empty
    network.
    """
    weighted = {row.name for row in analysis.rows if row.params}
    training_only = {node.id for node in analysis.graph.nodes if node.training_only}
    successors: dict[int, list[int]] = {}
    for source, target in analysis.graph.edges:
        if target not in training_only:
            successors.setdefault(source, []).append(target)
    longest: dict[int, int] = {}
    # Boxes are numbered in the order of their making, so an edge leads on, or to the output (1).
    for node in sorted(analysis.graph.nodes, key=lambda node: (node.id != 1, -node.id)):
        remaining_depth = max((longest[n] for n in successors.get(node.id, ())), default=0)
        longest[node.id] = remaining_depth + (node.row in weighted and _weighs(node))
    return longest.get(0, 0)


def _weighs(node: Node) -> bool:
    """Between layers only products with weights count: a container may hold others, as of positions."""
    is_operation = node.container == node.row
    return node.kind in ("conv", "fc") or (node.kind == "attention" and not is_operation)
