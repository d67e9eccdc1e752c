"""From a trace to the module graph: a box for each call of a layer and each operation between layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from cnnviz.analysis.trace import Operation, Trace
from cnnviz.analysis.types import Block, Graph, Node, Row, Shape

INPUT, OUTPUT = 0, 1
_Key = tuple[str, int, int]


class _Draft:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.nodes: list[Node] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._rows = {row.name: row for row in rows}
        self._keys: dict[_Key, int] = {}

    def add(self, trace: Trace, late: bool = False) -> dict[int, int]:
        """Draw a trace; boxes that stand already are met again. Returns node by operation."""
        place: dict[int, int] = {INPUT: INPUT}
        counts: dict[int, int] = {}
        for operation in trace.operations:
            if not operation.inputs:  # Works on constants alone, as on a table of positions.
                continue
            key = self._key(operation, counts)
            fresh = key not in self._keys
            if fresh:
                self._keys[key] = self._box(operation, late)
            node = place[operation.id] = self._keys[key]
            if fresh or not late:
                self.edges.update({(place[i], node): None for i in operation.inputs if place[i] != node})
        return place

    def _key(self, operation: Operation, counts: dict[int, int]) -> _Key:
        visit = operation.visit
        if visit.leaf:
            return visit.module, visit.number, 0
        counts[id(visit)] = counts.get(id(visit), 0) + 1
        return visit.module, visit.number, counts[id(visit)]

    def _box(self, operation: Operation, late: bool) -> int:
        row, visit = self._rows[operation.owner], operation.visit
        number = len(self.nodes)
        between = operation.owner == visit.module and not visit.leaf
        label = operation.effect.label if between else _label(row)
        kind = operation.effect.kind if between else row.kind
        container = visit.module if between else row.container
        shape = visit.output_shape if visit.leaf else operation.output_shape
        self.nodes.append(Node(number, row.name, label, kind, container, shape, late))
        return number


def _label(row: Row) -> str:
    """A layer's own name, with its type where the name is only a place in a list."""
    name = row.name.rpartition(".")[2]
    return f"{name} · {row.type}" if name.isdigit() else name


def graph(
    modules: Mapping[str, nn.Module],
    rows: tuple[Row, ...],
    trace: Trace,
    extra: Trace | None,
    shapes: tuple[Shape, Shape],
) -> Graph:
    """The graph of a pass, with what training adds to it; `shapes`: the input's and the output's."""
    draft = _Draft(rows)
    for number, label in ((INPUT, "input"), (OUTPUT, "output")):
        draft.nodes.append(Node(number, "", label, "other", "", shapes[number]))
    place = draft.add(trace)
    draft.edges.update({(place[i], OUTPUT): None for i in trace.result})
    if extra is not None:
        place = draft.add(extra, late=True)
        late = {node.id for node in draft.nodes if node.training_only}
        draft.edges.update({(place[i], OUTPUT): None for i in extra.result if place[i] in late})
    return Graph(tuple(draft.nodes), tuple(draft.edges), blocks(modules, rows))


def blocks(modules: Mapping[str, nn.Module], rows: Iterable[Row]) -> tuple[Block, ...]:
    """Every container that holds rows, in order, with equal siblings that stand side by side recognised."""
    types = {name: type(module).__name__ for name, module in modules.items()}
    members: dict[str, list[Row]] = {}
    for row in rows:
        name = row.name
        while "." in name:
            name = name.rpartition(".")[0]
            members.setdefault(name, []).append(row)
    signatures = {name: _signature(name, inside) for name, inside in members.items()}
    runs: dict[str, list[str]] = {}
    leader: dict[str, str] = {}
    previous: dict[str, str] = {}
    for name in members:
        around = name.rpartition(".")[0]
        before = previous.get(around)
        first = leader[before] if before and signatures[before] == signatures[name] else name
        leader[name], previous[around] = first, name
        runs.setdefault(first, []).append(name)
    return tuple(
        Block(
            name,
            types[name],
            len(runs[name]) if leader[name] == name else 1,
            "" if leader[name] == name else leader[name],
        )
        for name in members
    )


def _signature(container: str, inside: Iterable[Row]) -> tuple[object, ...]:
    """What makes two blocks equal: the same layers at the same sizes.

    A drop probability may differ, as it grows with depth in networks of stochastic depth.
    """
    return tuple(
        (
            row.name[len(container) :],
            row.type,
            row.output_shape,
            row.params,
            row.macs,
            repr({key: value for key, value in row.settings.items() if key != "p"}),
        )
        for row in inside
    )
