"""Data types of the static analysis: no torch, no drawing."""

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
    "norm": "normalization",
    "pool": "pooling",
    "activation": "activation",
    "attention": "attention",
    "recurrent": "recurrent",
    "other": "concat, add and other",
}
BYTES = 4
"""Bytes per value; figures are for 32-bit floats."""
MIB = 2**20
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Receptive field of a layer's output cells: (vertical, horizontal), in input pixels.

    Cell i sees the pixels `start + i·jump … start + i·jump + size − 1`; a negative start lies in the padding.
    The recurrences are those of Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
    networks", Distill, 2019. `whole` means that a cell sees the whole input, after attention, global pooling
    or a flatten; size, jump and start are then meaningless.
    """

    size: tuple[float, float] = (1, 1)
    jump: tuple[float, float] = (1, 1)
    start: tuple[float, float] = (0, 0)
    whole: bool = False

    def box(self, cell: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the pixels `(top, left, bottom, right)`, ends excluded, that `cell` sees of (H, W)."""
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
    """Own work of a module: of a layer, or of a container between its children.

    Shapes are without the batch; counts are for one image. Shared parameters count at their first row;
    `shared_with` names that row at the others.
    """

    name: str
    """Qualified name in the model; empty for the model itself."""
    type: str
    kind: Kind
    input_shape: Shape
    output_shape: Shape
    settings: dict[str, Any] = field(default_factory=dict)
    """`in`, `out`, `kernel`, `stride`, `padding`, `dilation`, `groups`, `bias`, … where they apply."""
    trainable: int = 0
    frozen: int = 0
    buffers: int = 0
    """Values that are stored but not trained, such as running statistics."""
    macs: int = 0
    """Multiply-adds: products of a convolution, linear layer or matrix product, without bias."""
    elementwise: int = 0
    """Other arithmetic: one operation per value of an activation, a sum or a bias."""
    outputs: int = 0
    """Values written, without views."""
    receptive_field: ReceptiveField = WHOLE
    calls: int = 1
    training_only: bool = False
    """Whether it is used in training only, as an auxiliary classifier.

    Excluded from the totals of arithmetic.
    """
    shared_with: str = ""

    @property
    def params(self) -> int:
        """Number of parameters, trainable and frozen."""
        return self.trainable + self.frozen

    @property
    def container(self) -> str:
        """Qualified name of the parent module."""
        return self.name.rpartition(".")[0]

    def activation_bytes(self, batch: int = 1) -> int:
        """Bytes of the values that this row writes in the forward pass."""
        return self.outputs * BYTES * batch

    def backward_bytes(self, batch: int = 1) -> int:
        """Bytes of their gradients in training: one per value."""
        return self.activation_bytes(batch)

    @property
    def formula(self) -> str:
        """Calculation of the parameter count, such as `96·(3·4·4 + 1) = 4,704`.

        Empty for rows without any.
        """
        return worked_numbers.parameters(self)


@dataclass(frozen=True, slots=True)
class Node:
    """Node of the module graph: one call of a layer, or one operation between layers."""

    id: int
    row: str
    """Name of its row."""
    label: str
    kind: Kind
    container: str
    """Qualified name of the container that it is drawn in."""
    output_shape: Shape
    training_only: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Container, and its repetition: the first of `repeats` consecutive equal siblings."""

    name: str
    type: str
    repeats: int = 1
    repeat_of: str = ""
    """Name of the first sibling, for the others."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Data flow between layers. Node 0 is the input, node 1 the output."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Analysis:
    """Static analysis of an architecture; a notebook shows it as a table."""

    model: str
    title: str
    input_shape: Shape
    classes: int
    options: dict[str, Any]
    rows: tuple[Row, ...]
    graph: Graph
    notes: tuple[str, ...] = ()
    """Sentences on what could not be counted exactly."""

    def __repr__(self) -> str:
        sides = "×".join(map(str, self.input_shape))
        counts = f"{self.total_params:,} parameters, {self.macs:,} multiply-adds"
        return f"<Analysis of {self.title}: {sides}, {len(self.rows)} layers, {counts}>"

    @property
    def total_params(self) -> int:
        """Number of parameters; shared ones count once."""
        return sum(row.params for row in self.rows)

    @property
    def trainable_params(self) -> int:
        """Number of trainable parameters."""
        return sum(row.trainable for row in self.rows)

    @property
    def conv_params(self) -> int:
        """Number of parameters in convolutions."""
        return self.params_of("conv")

    @property
    def fc_params(self) -> int:
        """Number of parameters in fully connected layers, including the projections of attention.

        Other parameters of attention, such as position tables, are excluded: only `nn.MultiheadAttention`
        counts.
        """
        projections = (row for row in self.rows if row.kind == "attention" and _projects(row))
        return self.params_of("fc") + sum(row.params for row in projections)

    @property
    def norm_params(self) -> int:
        """Number of parameters in normalization layers."""
        return self.params_of("norm")

    @property
    def other_params(self) -> int:
        """Number of other parameters: position embeddings, class tokens, gains."""
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
        """Rows that are used in prediction."""
        return tuple(row for row in self.rows if not row.training_only)

    def params_of(self, *kinds: Kind) -> int:
        """Return the number of parameters in rows of these kinds."""
        return sum(row.params for row in self.rows if row.kind in kinds)

    def macs_of(self, *kinds: Kind) -> int:
        """Return the multiply-adds of a prediction in rows of these kinds."""
        return sum(row.macs for row in self.predicting if row.kind in kinds)

    def forward_bytes(self, batch: int = 1) -> int:
        """Return the bytes of all values written in the forward pass."""
        return sum(row.activation_bytes(batch) for row in self.predicting)

    def training_bytes(self, batch: int = 1) -> int:
        """Return these with a gradient per value: the "forward/backward" size of the articles' summaries."""
        return 2 * self.forward_bytes(batch)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the parameters."""
        return self.total_params * BYTES

    def share_of_params(self, row: Row) -> float:
        """Return a row's fraction of all parameters, from 0 to 1."""
        return row.params / max(self.total_params, 1)

    def share_of_macs(self, row: Row) -> float:
        """Return a row's fraction of a prediction's multiply-adds, from 0 to 1; 0 for a training-only row."""
        return 0.0 if row.training_only else row.macs / max(self.macs, 1)

    def row(self, name: str) -> Row:
        """Return the row called `name`; raise `KeyError` where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


def _projects(row: Row) -> bool:
    """Return whether an attention row's parameters are its projections, as in `nn.MultiheadAttention`."""
    return row.type.endswith("MultiheadAttention")


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive rows drawn as one column, named after their container."""

    name: str
    rows: tuple[Row, ...]

    @property
    def params(self) -> int:
        """Number of parameters of all its rows."""
        return sum(row.params for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-adds of all its rows, including training-only ones."""
        return sum(row.macs for row in self.rows)

    @property
    def outputs(self) -> int:
        """Number of values written by all its rows."""
        return sum(row.outputs for row in self.rows)

    @property
    def kind(self) -> Kind:
        """Kind with the most parameters, or with the most arithmetic where none has parameters."""
        weight = dict.fromkeys(KINDS, (0, 0, 0))
        for row in self.rows:
            p, m, n = weight[row.kind]
            weight[row.kind] = (p + row.params, m + row.macs, n + row.outputs)
        return max(KINDS, key=lambda kind: weight[kind])


def grouped(rows: Iterable[Row], limit: int) -> tuple[Group, ...]:
    """Group rows into about `limit` columns at most: one per row if that fits, otherwise per container.

    The greatest depth of names that fits is used. The order is preserved; a container that recurs starts a
    new group.
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


# Depth of a network.


def depth(analysis: Analysis) -> int:
    """Count the weight layers on the longest path from input to output, without training-only nodes.

    Weight layers are convolutions, fully connected layers and attention with its own projections; 0 for an
    empty network.
    """
    weighted = {row.name for row in analysis.rows if row.params}
    training_only = {node.id for node in analysis.graph.nodes if node.training_only}
    successors: dict[int, list[int]] = {}
    for source, target in analysis.graph.edges:
        if target not in training_only:
            successors.setdefault(source, []).append(target)
    longest: dict[int, int] = {}
    # Nodes are numbered in order of creation, so an edge leads to a higher number, or to the output (1).
    for node in sorted(analysis.graph.nodes, key=lambda node: (node.id != 1, -node.id)):
        remaining_depth = max((longest[n] for n in successors.get(node.id, ())), default=0)
        longest[node.id] = remaining_depth + (node.row in weighted and _weighs(node))
    return longest.get(0, 0)


def _weighs(node: Node) -> bool:
    """Return whether a node counts: between layers convolutions and linear products, not attention."""
    is_operation = node.container == node.row
    return node.kind in ("conv", "fc") or (node.kind == "attention" and not is_operation)
