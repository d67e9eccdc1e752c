"""Module graph for the static checks: predecessors, successors and functions of the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnnviz.analysis.checks.activations import FUNCTIONS
from cnnviz.analysis.types import Analysis, Kind, Node, Row

INPUT, OUTPUT = 0, 1
WEIGHTED: tuple[Kind, ...] = ("conv", "fc", "attention", "recurrent")
"""Kinds that compute weighted sums: two of them without a non-linearity between are equivalent to one."""
LINEAR_TYPES = frozenset(
    ("AvgPool2d", "AdaptiveAvgPool2d", "Flatten", "Unflatten", "Identity", "Upsample", "ZeroPad2d")
)
LINEAR_FUNCTIONS = frozenset(("average pooling", "mean", "sum", "resize", "pad", "adaptive pooling"))
"""Operations that compute fixed weighted sums of their inputs."""


@dataclass(frozen=True, slots=True)
class OutputActivation:
    """Activation between the last layer with weights and the output."""

    function: str
    """Name in `torch.nn.functional`; empty where the layer's type is unknown."""
    layer: str
    """Name of its row; empty where the model itself calls the function."""
    pooled: bool
    """Whether global average pooling follows it, as in SqueezeNet."""


class Network:
    """Graph of the forward pass in evaluation mode, without auxiliary classifiers."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.nodes = {node.id: node for node in analysis.graph.nodes if not node.training_only}
        self._rows = {row.name: row for row in analysis.rows}
        self._before: dict[int, list[int]] = {number: [] for number in self.nodes}
        self._after: dict[int, list[int]] = {number: [] for number in self.nodes}
        for source, target in analysis.graph.edges:
            if source in self.nodes and target in self.nodes:
                self._after[source].append(target)
                self._before[target].append(source)

    def layers(self) -> Iterator[Node]:
        """Iterate over all nodes but the input and the output, in order of execution."""
        return (node for number, node in self.nodes.items() if number not in (INPUT, OUTPUT))

    def row(self, node: Node) -> Row | None:
        """Return the row of a node; None for the input and the output."""
        return None if node.id in (INPUT, OUTPUT) else self._rows.get(node.row)

    def before(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes whose results a node reads."""
        return tuple(self.nodes[number] for number in self._before[node.id])

    def after(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that read a node's result."""
        return tuple(self.nodes[number] for number in self._after[node.id])

    def is_layer(self, node: Node) -> bool:
        """Return whether a node is a module's call rather than an operation between modules."""
        row = self.row(node)
        return row is not None and node.container != node.row

    def function(self, node: Node) -> str:
        """Return the activation function of a node, as named in `torch.nn.functional`; empty if unknown."""
        if not self.is_layer(node):
            return node.label.replace(" ", "_")
        row = self.row(node)
        return FUNCTIONS.get(row.type, "") if row is not None else ""

    def is_dropout(self, node: Node) -> bool:
        """Return whether a node is dropout, as a layer or as a function."""
        row = self.row(node)
        return row is not None and ("Dropout" in row.type if self.is_layer(node) else node.label == "dropout")

    def is_batch_norm(self, node: Node) -> bool:
        """Return whether a node is batch normalization, as a layer or as a function."""
        row = self.row(node)
        if row is None or node.kind != "norm":
            return False
        return "BatchNorm" in row.type if self.is_layer(node) else node.label == "batch norm"

    def is_linear(self, node: Node) -> bool:
        """Return whether a node is linear: batch normalization, mean pooling, dropout, reshaping."""
        row = self.row(node)
        if row is None or self.is_weighted(node):
            return False
        if self.is_batch_norm(node) or self.is_dropout(node):
            return True
        if self.is_layer(node):
            return row.type in LINEAR_TYPES
        return node.label in LINEAR_FUNCTIONS

    def chain(self) -> tuple[Node, ...]:
        """Return the nodes that lie on every path from the input to the output, in order.

        They are the nodes whose number of paths from the input, times that to the output, is the total.
        """
        order = [INPUT, *(number for number in self.nodes if number not in (INPUT, OUTPUT)), OUTPUT]
        paths_to, paths_from = dict.fromkeys(self.nodes, 0), dict.fromkeys(self.nodes, 0)
        if OUTPUT not in self.nodes:
            return ()
        paths_to[INPUT] = paths_from[OUTPUT] = 1
        for number in order:
            for following in self._after[number]:
                paths_to[following] += paths_to[number]
        for number in reversed(order):
            for source in self._before[number]:
                paths_from[source] += paths_from[number]
        total = paths_to[OUTPUT]
        inner = order[1:-1] if total else []
        return tuple(self.nodes[number] for number in inner if paths_to[number] * paths_from[number] == total)

    def is_weighted(self, node: Node) -> bool:
        """Return whether a node uses stored values (weights), as LeNet-5's radial basis units do."""
        row = self.row(node)
        stored = row is not None and row.params + row.buffers > 0 and self.is_layer(node)
        return node.kind in WEIGHTED or (node.kind == "other" and stored)

    def output_path(self) -> tuple[Node, ...]:
        """Return the nodes from the last layer with weights, inclusive, to the output.

        Empty where the output has several sources, or where two paths join after the last such layer.
        """
        path: list[Node] = []
        node = self.nodes.get(OUTPUT)
        while node is not None:
            sources = self.before(node)
            if len(sources) != 1 or sources[0].id == INPUT:
                return ()
            node = sources[0]
            path.append(node)
            if self.is_weighted(node):
                return tuple(reversed(path))
        return ()

    def output_activations(self) -> tuple[OutputActivation, ...]:
        """Return the activations between the last layer with weights and the output, in order."""
        path = self.output_path()
        return tuple(
            OutputActivation(
                self.function(node),
                node.row if self.is_layer(node) else "",
                any(later.kind == "pool" for later in path[index + 1 :]),
            )
            for index, node in enumerate(path)
            if node.kind == "activation"
        )
