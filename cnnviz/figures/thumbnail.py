"""A network in miniature: every weight layer's feature maps as a box, at the depth where it stands.

All miniatures share one scale, so that a network twice as deep is drawn twice as long. Heights follow the
square root of a map's side, depths of the boxes that of the channels, as 7 pixels stand beside 224.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from cnnviz.analysis.types import Analysis, Graph, Kind

PITCH, WIDTH, HEIGHT = 12.0, 7.5, 78.0
"""One layer's room, a box's width and the tallest box, in units of the drawing."""
MARGIN = 10.0
GAP = 1.6
LARGEST_SIDE, MOST_UNITS, MOST_CHANNELS = 227, 4096, 2048


@dataclass(frozen=True)
class Volume:
    """The output of one layer.

    `column` counts weight layers from the input; `share` is the part of the column, from 0 at the top to 1,
    that its channels take among branches side by side.
    """

    name: str
    kind: Kind
    column: int
    channels: int
    side: int
    share: tuple[float, float] = (0.0, 1.0)


def volumes(analysis: Analysis) -> tuple[Volume, ...]:
    """Weight layers and the poolings that shrink the maps, in the order of their depth."""
    depth = _depths(
        analysis.graph, {row.name for row in analysis.rows if row.kind in ("conv", "fc") and row.params}
    )
    sides = {node.id: _side(node.output_shape) for node in analysis.graph.nodes}
    before = {end: start for start, end in analysis.graph.edges}
    weights: dict[int, list[Volume]] = {}
    pools: list[Volume] = []
    for node in analysis.graph.nodes[2:]:
        volume = Volume(node.row, node.kind, depth[node.id], node.output_shape[0], sides[node.id])
        if node.training_only:
            continue
        if node.kind == "pool" and sides[node.id] < sides.get(before.get(node.id, 0), 0):
            pools.append(volume)
        elif node.kind in ("conv", "fc") and volume.column > 0:
            weights.setdefault(volume.column, []).append(volume)
    stacked = [volume for column in weights.values() for volume in _stack(column)]
    return tuple(sorted([*stacked, *pools], key=lambda volume: (volume.column, volume.kind == "pool")))


def strip_svg(drawn: tuple[Volume, ...], columns: int, alt: str) -> str:
    """The miniature as SVG, with room for `columns` layers. Kinds are classes `k-conv`, `k-fc`, `k-pool`."""
    width = MARGIN + columns * PITCH + MARGIN
    boxes = "".join(box_svg(volume) for volume in drawn)
    return (
        f'<svg class="strip" viewBox="0 0 {width:g} {HEIGHT + MARGIN:g}" role="img" aria-label="{alt}" '
        f'xmlns="http://www.w3.org/2000/svg">{boxes}</svg>'
    )


def box_svg(volume: Volume) -> str:
    """One box: its face, its top and its right side."""
    low, high = volume.share
    column = tall(volume)
    whole = high - low == 1
    y = MARGIN + HEIGHT / 2 - column / 2 + column * low + (0 if whole or not low else GAP / 2)
    h = max(1.5, column * (high - low) - (0 if whole else GAP))
    pool = volume.kind == "pool"
    x = MARGIN / 2 + (volume.column - 1) * PITCH + (WIDTH + 0.6 if pool else 0)
    w = 2.2 if pool else WIDTH
    face = f'<path class="face" d="M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}z"/>'
    depth = "" if pool else _depth_svg(x, y, w, h, volume.channels)
    return f'<g class="k-{volume.kind}">{face}{depth}</g>'


def _depth_svg(x: float, y: float, w: float, h: float, channels: int) -> str:
    """The top and the right side of a box whose face is given, deeper for more channels."""
    e = 1.2 + 4.2 * sqrt(min(1.0, channels / MOST_CHANNELS))
    back, forth = f"l{e:.1f} {-0.7 * e:.1f}", f"l{-e:.1f} {0.7 * e:.1f}"
    return (
        f'<path class="top" d="M{x:.1f} {y:.1f}{back}h{w:.1f}{forth}z"/>'
        f'<path class="side" d="M{x + w:.1f} {y:.1f}{back}v{h:.1f}{forth}z"/>'
    )


def tall(volume: Volume) -> float:
    """Height of the column that a volume stands in."""
    if volume.kind == "fc" or volume.side == 0:
        return HEIGHT * max(0.06, sqrt(min(1.0, volume.channels / MOST_UNITS)))
    return HEIGHT * sqrt(min(1.0, volume.side / LARGEST_SIDE))


def _depths(graph: Graph, weighted: set[str]) -> dict[int, int]:
    """Weight layers on the longest path that ends at each node, the node itself included."""
    into: dict[int, list[int]] = {node.id: [] for node in graph.nodes}
    for start, end in graph.edges:
        into[end].append(start)
    depth = {0: 0}
    # Nodes are numbered in the order of their making, so what leads to one has been met before.
    for node in graph.nodes[2:]:
        reached = max((depth.get(start, 0) for start in into[node.id]), default=0)
        depth[node.id] = reached + (node.row in weighted and node.kind in ("conv", "fc"))
    return depth


def _side(shape: tuple[int, ...]) -> int:
    return max(shape[1:]) if len(shape) == 3 else 0


def _stack(column: list[Volume]) -> Iterator[Volume]:
    """Branches one above the other, each with the part of the column that its channels make up."""
    total, low = sum(volume.channels for volume in column), 0
    for volume in column:
        high = low + volume.channels
        share = (low / total, high / total)
        yield Volume(volume.name, volume.kind, volume.column, volume.channels, volume.side, share)
        low = high
