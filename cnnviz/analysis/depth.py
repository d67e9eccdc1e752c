"""How deep a network is."""

from __future__ import annotations

from cnnviz.analysis.types import Analysis


def depth(analysis: Analysis) -> int:
    """Weight layers on the longest path from input to output, those of training alone left out."""
    weighted = {row.name for row in analysis.rows if row.params and row.kind in ("conv", "fc", "attention")}
    late = {node.id for node in analysis.graph.nodes if node.training_only}
    following: dict[int, list[int]] = {}
    for start, end in analysis.graph.edges:
        if end not in late:
            following.setdefault(start, []).append(end)
    longest: dict[int, int] = {}
    # Boxes are numbered in the order of their making, so an edge leads on, or to the output (1).
    for node in sorted(analysis.graph.nodes, key=lambda node: (node.id != 1, -node.id)):
        beyond = max((longest[n] for n in following.get(node.id, ())), default=0)
        longest[node.id] = beyond + (node.id > 1 and node.row in weighted)
    return longest[0]
