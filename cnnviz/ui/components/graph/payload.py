"""A graph as the compact data that the browser gets: names once, everything else by number."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cnnviz.analysis.types import KIND_TITLES, KINDS, Graph
from cnnviz.figures.numbers import shape

MODEL = -1
"""The number of the model itself, in which the outermost containers lie."""


def payload(graph: Graph) -> dict[str, Any]:
    """Everything of `graph` that is drawn, and an `id` which is the same for equal graphs only.

    `containers` are `[name, type, parent, repeats]` with parents first, the last two as numbers (-1: none);
    `nodes` are `[row, label, kind, container, shape, training only]`; `edges` are pairs of nodes, one after
    the other. Raises `ValueError` where an edge leads to a node that is not there.
    """
    _check(graph)
    numbers = {name: number for number, name in enumerate(container_names(graph))}
    blocks = {block.name: block for block in graph.blocks}
    containers = []
    for name in numbers:
        block = blocks.get(name)
        parent = numbers.get(name.rpartition(".")[0], MODEL)
        repeat_of = numbers.get(block.repeat_of, MODEL) if block else MODEL
        containers.append([name, block.type if block else "", parent, repeat_of])
    kinds = {kind: number for number, kind in enumerate(KINDS)}
    nodes = [
        [
            node.row,
            node.label,
            kinds[node.kind],
            numbers.get(node.container, MODEL),
            shape(node.output_shape),
            int(node.training_only),
        ]
        for node in graph.nodes
    ]
    drawn = {
        "kinds": list(KINDS),
        "titles": dict(KIND_TITLES),
        "containers": containers,
        "nodes": nodes,
        "edges": [end for edge in graph.edges for end in edge],
    }
    text = json.dumps(drawn, ensure_ascii=False, separators=(",", ":"))
    return drawn | {"id": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}


def container_names(graph: Graph) -> list[str]:
    """Qualified names of all containers that hold nodes, in order, each after the one around it."""
    names: dict[str, None] = {}
    for node in graph.nodes:
        parts = node.container.split(".") if node.container else []
        for depth in range(1, len(parts) + 1):
            names[".".join(parts[:depth])] = None
    return list(names)


def _check(graph: Graph) -> None:
    count = len(graph.nodes)
    if any(node.id != position for position, node in enumerate(graph.nodes)):
        raise ValueError("the nodes of a graph must be numbered from 0 in their order")
    if any(not 0 <= end < count for edge in graph.edges for end in edge):
        raise ValueError(f"an edge of the graph leads to a node that is not among its {count}")
