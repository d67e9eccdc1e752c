"""Timeline of five architectures with thumbnails, all drawn to one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt
from typing import get_args

from cnnviz.analysis.types import KIND_TITLES, Analysis, Graph, Kind
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import KIND_COLORS, Theme

# Thumbnails: the feature maps of every weight layer as a box at its depth.
#
# All thumbnails share one scale, so that a network twice as deep is drawn twice as long. Box heights are
# proportional to the square root of the map's side, box depths to that of the channels, because sides range
# from 7 to 224 pixels.

PITCH, WIDTH, HEIGHT = 12.0, 7.5, 78.0
"""Distance between layers, box width and maximum box height, in SVG units."""
MARGIN = 10.0
GAP = 1.6
LARGEST_SIDE, MAX_UNITS, MAX_CHANNELS = 227, 4096, 2048


@dataclass(frozen=True)
class Volume:
    """Output of one layer.

    `column` counts weight layers from the input; `share` is the interval of the column's height, 0 at the top
    to 1, that its channels take among parallel branches.
    """

    name: str
    kind: Kind
    column: int
    channels: int
    side: int
    share: tuple[float, float] = (0.0, 1.0)


def volumes(analysis: Analysis) -> tuple[Volume, ...]:
    """Return the outputs of weight layers and of the poolings that shrink the maps, by depth."""
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


def thumbnail_svg(drawn: tuple[Volume, ...], columns: int, alt: str) -> str:
    """Draw a thumbnail as SVG, wide enough for `columns` layers.

    Kinds have CSS classes `k-conv`, `k-fc`, `k-pool`.
    """
    width = MARGIN + columns * PITCH + MARGIN
    boxes = "".join(box_svg(volume) for volume in drawn)
    return (
        f'<svg class="strip" viewBox="0 0 {width:g} {HEIGHT + MARGIN:g}" role="img" aria-label="{alt}" '
        f'xmlns="http://www.w3.org/2000/svg">{boxes}</svg>'
    )


def box_svg(volume: Volume) -> str:
    """Draw one box: its front, top and right side."""
    low, high = volume.share
    column = column_height(volume)
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
    """Draw the top and right side of a box with the given front; deeper for more channels."""
    e = 1.2 + 4.2 * sqrt(min(1.0, channels / MAX_CHANNELS))
    back, forth = f"l{e:.1f} {-0.7 * e:.1f}", f"l{-e:.1f} {0.7 * e:.1f}"
    return (
        f'<path class="top" d="M{x:.1f} {y:.1f}{back}h{w:.1f}{forth}z"/>'
        f'<path class="side" d="M{x + w:.1f} {y:.1f}{back}v{h:.1f}{forth}z"/>'
    )


def column_height(volume: Volume) -> float:
    """Return the height of a volume's column."""
    if volume.kind == "fc" or volume.side == 0:
        return HEIGHT * max(0.06, sqrt(min(1.0, volume.channels / MAX_UNITS)))
    return HEIGHT * sqrt(min(1.0, volume.side / LARGEST_SIDE))


def _depths(graph: Graph, weighted: set[str]) -> dict[int, int]:
    """Count the weight layers on the longest path that ends at each node, itself included."""
    into: dict[int, list[int]] = {node.id: [] for node in graph.nodes}
    for start, end in graph.edges:
        into[end].append(start)
    depth = {0: 0}
    # Nodes are numbered in topological order, so the predecessors of a node have been visited.
    for node in graph.nodes[2:]:
        reached = max((depth.get(start, 0) for start in into[node.id]), default=0)
        depth[node.id] = reached + (node.row in weighted and node.kind in ("conv", "fc"))
    return depth


def _side(shape: tuple[int, ...]) -> int:
    return max(shape[1:]) if len(shape) == 3 else 0


def _stack(column: list[Volume]) -> Iterator[Volume]:
    """Stack branches vertically, each with the fraction of the column that its channels make up."""
    total, low = sum(volume.channels for volume in column), 0
    for volume in column:
        high = low + volume.channels
        share = (low / total, high / total)
        yield Volume(volume.name, volume.kind, volume.column, volume.channels, volume.side, share)
        low = high


TIMELINE_MODELS = (
    "lenet5-1998",
    "alexnet",
    "torchvision/vgg16",
    "torchvision/googlenet",
    "torchvision/resnet50",
)
SHOWN: tuple[Kind, ...] = ("conv", "fc", "norm", "other")
SQUARE = 64.0
"""Side of the largest square, in pixels."""
CONTRIBUTIONS = {
    "lenet5-1998": "Convolution and pooling, learned end to end, read handwritten digits.",
    "alexnet": "The same idea a thousand times larger, on GPUs, with ReLU and dropout, wins ImageNet.",
    "torchvision/vgg16": "Only 3×3 convolutions, twice as deep; most parameters sit in three last layers.",
    "torchvision/googlenet": "Four branches side by side, 1×1 reductions, one small dense layer: light.",
    "torchvision/resnet50": "Each block adds to its input, so that fifty layers can still be trained.",
}
"""Each architecture's contribution, in one sentence."""


@dataclass(frozen=True)
class TimelineEntry:
    """One architecture of the timeline, with everything that its row shows."""

    name: str
    title: str
    year: int
    depth: int
    news: str
    volumes: tuple[Volume, ...]
    params: Mapping[Kind, int]
    macs: Mapping[Kind, int]
    accuracy: float | None
    accuracy_on: str

    @property
    def facts(self) -> str:
        """The row in words, as alternative text."""
        total, arithmetic = sum(self.params.values()), sum(self.macs.values())
        share = numbers.percent(self.params["conv"] / total)
        published = "" if self.accuracy is None else f", {self.accuracy_words}"
        return (
            f"{self.title}, {self.year}: {self.depth} weight layers deep, {numbers.short(total)} parameters "
            f"({share} convolutional), {numbers.macs(arithmetic)}{published}"
        )

    @property
    def accuracy_words(self) -> str:
        """Published accuracy and the data set it was measured on; empty where none is known."""
        if self.accuracy is None:
            return ""
        return f"{numbers.percent(self.accuracy, 1)} on {self.accuracy_on}"


def timeline_entry(
    analysis: Analysis, *, year: int, depth: int, accuracy: float | None, accuracy_on: str
) -> TimelineEntry:
    """Build a timeline entry from an architecture's analysis and published facts."""
    return TimelineEntry(
        name=analysis.model,
        title=analysis.title.removesuffix(" (torchvision)"),
        year=year,
        depth=depth,
        news=CONTRIBUTIONS.get(analysis.model, ""),
        volumes=volumes(analysis),
        params=_by_kind(
            {
                "conv": analysis.conv_params,
                "fc": analysis.fc_params,
                "norm": analysis.norm_params,
                "other": analysis.other_params,
            }
        ),
        macs=_by_kind(
            {
                "conv": analysis.macs_of("conv"),
                "fc": analysis.macs_of("fc", "attention"),
                "other": analysis.macs - analysis.macs_of("conv", "fc", "attention"),
            }
        ),
        accuracy=accuracy,
        accuracy_on=accuracy_on,
    )


def _by_kind(counts: Mapping[Kind, int]) -> Mapping[Kind, int]:
    return {kind: counts.get(kind, 0) for kind in SHOWN}


def square_svg(parts: Mapping[Kind, int], largest: int, noun: str) -> str:
    """Draw a square whose area is the sum of `parts`, `SQUARE` pixels wide for `largest`, split by kind."""
    total = sum(parts.values())
    side = square_side(total, largest)
    shares = ", ".join(
        f"{numbers.percent(count / total)} {KIND_TITLES[kind]}" for kind, count in parts.items() if count
    )
    bands, y = [], SQUARE - side
    for kind, count in parts.items():
        height = side * count / total
        bands.append(
            f'<rect class="k-{kind} face" x="0" y="{y:.2f}" width="{side:.2f}" height="{height:.2f}"/>'
        )
        y += height
    return (
        f'<svg class="square" viewBox="0 0 {SQUARE:g} {SQUARE:g}" role="img" '
        f'aria-label="{numbers.short(total)} {noun}: {shares}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(bands)}</svg>"
    )


def square_side(value: int, largest: int) -> float:
    """Return the side of the square for `value`, at least 1.5 pixels so that small ones stay visible."""
    return max(1.5, SQUARE * sqrt(value / largest))


def columns(drawn: Sequence[TimelineEntry]) -> int:
    """Return the depth of the deepest network, in weight layers."""
    return max(volume.column for entry in drawn for volume in entry.volumes)


# The whole timeline as one SVG for download, with its colors inlined.

LEFT, ROW, HEAD, PAD, ACCURACY = 150.0, 104.0, 34.0, 16.0, 230.0
PAPER = {"light": ("#ffffff", "#1c2529"), "dark": ("#12171a", "#e4e9eb")}


def timeline_svg(drawn: Sequence[TimelineEntry], theme: Theme) -> str:
    """Draw all rows below one heading as a standalone SVG."""
    strip = 2 * MARGIN + columns(drawn) * PITCH
    width = LEFT + strip + 2 * (SQUARE + 66) + ACCURACY
    height = HEAD + ROW * len(drawn) + PAD
    ground, ink = PAPER[theme]
    largest = (
        max(sum(entry.params.values()) for entry in drawn),
        max(sum(entry.macs.values()) for entry in drawn),
    )
    rows = "".join(_row(entry, HEAD + ROW * i, strip, largest) for i, entry in enumerate(drawn))
    style = (
        f"text {{ font: 12px sans-serif; fill: {ink} }} .title {{ font-weight: 600; font-size: 15px }} "
        f"{_kinds(theme)} .top {{ fill-opacity: .55 }} .side {{ fill-opacity: .75 }}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}"><style>{style}</style>'
        f'<rect width="{width:g}" height="{height:g}" fill="{ground}"/>'
        f'<text x="{PAD:g}" y="22">Depth to one scale; areas for parameters and multiply-adds to one scale '
        f"each.</text>{rows}</svg>"
    )


def _row(entry: TimelineEntry, top: float, strip: float, largest: tuple[int, int]) -> str:
    middle = top + ROW / 2
    total, arithmetic = sum(entry.params.values()), sum(entry.macs.values())
    areas = (
        (entry.params, largest[0], f"{numbers.short(total)} parameters"),
        (entry.macs, largest[1], numbers.macs(arithmetic)),
    )
    boxes = "".join(box_svg(volume) for volume in entry.volumes)
    squares = "".join(_square(*area, LEFT + strip + i * (SQUARE + 66), top) for i, area in enumerate(areas))
    return (
        f'<text x="{PAD:g}" y="{middle - 4:g}" class="title">{escape(entry.title)}</text>'
        f'<text x="{PAD:g}" y="{middle + 14:g}">{entry.year}, {entry.depth} layers deep</text>'
        f'<g transform="translate({LEFT:g} {top + (ROW - HEIGHT) / 2 - MARGIN:g})">{boxes}</g>{squares}'
        f'<text x="{LEFT + strip + 2 * (SQUARE + 66):g}" y="{middle + 4:g}">{escape(entry.accuracy_words)}'
        "</text>"
    )


def _square(parts: Mapping[Kind, int], largest: int, label: str, left: float, top: float) -> str:
    total = sum(parts.values())
    side = square_side(total, largest)
    y = top + SQUARE + 8 - side
    bands = []
    for kind, count in parts.items():
        height = side * count / total
        bands.append(
            f'<rect class="k-{kind}" x="{left:g}" y="{y:.2f}" width="{side:.2f}" height="{height:.2f}"/>'
        )
        y += height
    return f'{"".join(bands)}<text x="{left:g}" y="{top + SQUARE + 24:g}">{escape(label)}</text>'


def _kinds(theme: Theme) -> str:
    return " ".join(f".k-{kind} {{ fill: {KIND_COLORS[kind].of(theme)} }}" for kind in get_args(Kind))
