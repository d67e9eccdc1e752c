"""How deep a network is."""

from __future__ import annotations

from cnnviz.analysis.types import Analysis, Node


def depth(analysis: Analysis) -> int:
    """Weight layers on the longest path from input to output, those of training alone left out.

    They are convolutions, fully connected layers and attention with projections of its own; 0 for an empty
    network.
    """
    weighted = {row.name for row in analysis.rows if row.params}
    late = {node.id for node in analysis.graph.nodes if node.training_only}
    following: dict[int, list[int]] = {}
    for start, end in analysis.graph.edges:
        if end not in late:
            following.setdefault(start, []).append(end)
    longest: dict[int, int] = {}
    # Boxes are numbered in the order of their making, so an edge leads on, or to the output (1).
    for node in sorted(analysis.graph.nodes, key=lambda node: (node.id != 1, -node.id)):
        beyond = max((longest[n] for n in following.get(node.id, ())), default=0)
        longest[node.id] = beyond + (node.row in weighted and _weighs(node))
    return longest.get(0, 0)


def _weighs(node: Node) -> bool:
    """Between layers only products with weights count: a container may hold others, as of positions."""
    between = node.container == node.row
    return node.kind in ("conv", "fc") or (node.kind == "attention" and not between)
