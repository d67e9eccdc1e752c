"""The whole lineage as one SVG, for a download: what the page shows, with its colours written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import get_args

from cnnviz.analysis.types import Kind
from cnnviz.figures import numbers
from cnnviz.figures.lineage import SQUARE, Ancestor, columns, square_side
from cnnviz.figures.palette import KIND_COLOURS, Theme
from cnnviz.figures.volumes import HEIGHT, MARGIN, PITCH, box_svg

LEFT, ROW, HEAD, PAD, ACCURACY = 150.0, 104.0, 34.0, 16.0, 230.0
PAPER = {"light": ("#ffffff", "#1c2529"), "dark": ("#12171a", "#e4e9eb")}


def lineage_sheet(drawn: Sequence[Ancestor], theme: Theme) -> str:
    """All rows under one heading, `theme` being "light" or "dark"."""
    strip = 2 * MARGIN + columns(drawn) * PITCH
    width = LEFT + strip + 2 * (SQUARE + 66) + ACCURACY
    height = HEAD + ROW * len(drawn) + PAD
    ground, ink = PAPER[theme]
    largest = max(sum(one.params.values()) for one in drawn), max(sum(one.macs.values()) for one in drawn)
    rows = "".join(_row(one, HEAD + ROW * i, strip, largest) for i, one in enumerate(drawn))
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


def _row(one: Ancestor, top: float, strip: float, largest: tuple[int, int]) -> str:
    middle = top + ROW / 2
    total, arithmetic = sum(one.params.values()), sum(one.macs.values())
    areas = (
        (one.params, largest[0], f"{numbers.short(total)} parameters"),
        (one.macs, largest[1], numbers.macs(arithmetic)),
    )
    boxes = "".join(box_svg(volume) for volume in one.volumes)
    squares = "".join(_square(*area, LEFT + strip + i * (SQUARE + 66), top) for i, area in enumerate(areas))
    return (
        f'<text x="{PAD:g}" y="{middle - 4:g}" class="title">{escape(one.title)}</text>'
        f'<text x="{PAD:g}" y="{middle + 14:g}">{one.year}, {one.depth} layers deep</text>'
        f'<g transform="translate({LEFT:g} {top + (ROW - HEIGHT) / 2 - MARGIN:g})">{boxes}</g>{squares}'
        f'<text x="{LEFT + strip + 2 * (SQUARE + 66):g}" y="{middle + 4:g}">{escape(one.accuracy_words)}'
        "</text>"
    )


def _square(parts: Mapping[Kind, int], largest: int, words: str, left: float, top: float) -> str:
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
    return f'{"".join(bands)}<text x="{left:g}" y="{top + SQUARE + 24:g}">{escape(words)}</text>'


def _kinds(theme: Theme) -> str:
    return " ".join(f".k-{kind} {{ fill: {KIND_COLOURS[kind].of(theme)} }}" for kind in get_args(Kind))
