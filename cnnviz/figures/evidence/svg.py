"""A finding's curves and bars as SVG of our own, small enough to stand in a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from cnnviz.diagnosis import Bars, Lines
from cnnviz.figures.evidence.hues import hues
from cnnviz.figures.evidence.words import alt
from cnnviz.figures.layer_bars import shortened
from cnnviz.figures.palette import Colour
from cnnviz.figures.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, ticks

MOST_LABELS = 12
FAINT = 0.35
Value = float | None


@dataclass(frozen=True)
class Upwards:
    """The vertical axis: round values from bottom to top, of logarithms where it is logarithmic."""

    marks: Sequence[float]
    logarithmic: bool
    percent: bool

    def place(self, value: Value) -> float | None:
        """Where a value stands, in pixels from the top; None where it has no place."""
        if value is None or not math.isfinite(value) or (self.logarithmic and value <= 0):
            return None
        return self.at(math.log10(value) if self.logarithmic else value)

    def at(self, height: float) -> float:
        """Where a height of the axis, such as a mark, stands."""
        share = (height - self.marks[0]) / (self.marks[-1] - self.marks[0])
        return HEIGHT - BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - TOP - BOTTOM)

    def text(self, mark: float) -> str:
        """A mark as it is written."""
        value = 10.0**mark if self.logarithmic else mark
        return f"{round(100 * value, 6):g} %" if self.percent else f"{value:.3g}"


def lines_svg(picture: Lines) -> str:
    """The curves with heading and key; empty where there is no point."""
    values = [value for one in picture.series for value in one.y]
    up = _upwards(picture, values)
    xs = [x for one in picture.series for x in one.x]
    if up is None or not xs:
        return ""
    across = ticks(min(xs), max(xs))
    colours = hues([one.dashed for one in picture.series])

    def x(value: float) -> float:
        return LEFT + (value - across[0]) / (across[-1] - across[0]) * (WIDTH - LEFT - RIGHT)

    body = _grid(up) + "".join(_under(x(mark), f"{mark:g}") for mark in across)
    for one, colour in zip(picture.series, colours, strict=True):
        body += _path([x(at) for at in one.x], [up.place(value) for value in one.y], colour, one.dashed)
    names = [one.name for one in picture.series]
    return _figure(picture, body + _level(picture, up), _key(names, colours))


def bars_svg(picture: Bars) -> str:
    """The bars with heading and key, points on a logarithmic axis; empty where nothing was measured."""
    up = _upwards(picture, [value for values in picture.values.values() for value in values])
    if up is None:
        return ""
    room = (WIDTH - LEFT - RIGHT) / len(picture.names)
    colours = hues([False] * len(picture.values))
    every = -(-len(picture.names) // MOST_LABELS)
    body = _grid(up) + "".join(
        _under(LEFT + (place + 0.5) * room, shortened(name, 10))
        for place, name in enumerate(picture.names)
        if place % every == 0
    )
    for number, (values, colour) in enumerate(zip(picture.values.values(), colours, strict=True)):
        if picture.logarithmic:
            middles = [LEFT + (place + 0.5) * room for place in range(len(values))]
            body += _path(middles, [up.place(value) for value in values], colour, dashed=False, dots=True)
        else:
            body += _columns(picture, values, up, colour, room, number)
    return _figure(picture, body + _level(picture, up), _key(list(picture.values), colours))


def _columns(
    picture: Bars, values: Sequence[Value], up: Upwards, colour: Colour, room: float, number: int
) -> str:
    width = 0.75 * room / len(picture.values)
    drawn = []
    for place, (name, value) in enumerate(zip(picture.names, values, strict=True)):
        top, ground = up.place(value), up.at(max(0.0, up.marks[0]))
        if top is None:
            continue
        faint = FAINT if picture.marked and name not in picture.marked else 1
        left = LEFT + (place + 0.125) * room + number * width
        drawn.append(
            f'<rect x="{left:.1f}" y="{min(top, ground):.1f}" width="{width:.1f}" '
            f'height="{abs(ground - top):.1f}" style="fill:{colour.css};opacity:{faint}"/>'
        )
    return "".join(drawn)


def _upwards(picture: Lines | Bars, values: Sequence[Value]) -> Upwards | None:
    """The axis of all values and the reference; from zero for bars."""
    known = _usable(picture, values)
    if not known:
        return None
    known += _usable(picture, [picture.reference[1]] if picture.reference else [])
    if picture.logarithmic:
        low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
        step = max(1, -(-(high - low) // 5))
        marks = [float(mark) for mark in range(low, max(high, low + 1) + step, step)]
    else:
        marks = ticks(min(0.0, *known) if isinstance(picture, Bars) else min(known), max(known))
    return Upwards(marks, picture.logarithmic, picture.percent)


def _usable(picture: Lines | Bars, values: Sequence[Value]) -> list[float]:
    """Those with a place on the axis."""
    return [
        value
        for value in values
        if value is not None and math.isfinite(value) and (value > 0 or not picture.logarithmic)
    ]


def _grid(up: Upwards) -> str:
    drawn = []
    for mark in up.marks:
        y = up.at(mark)
        drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" class="end">{up.text(mark)}</text>')
    return "".join(drawn)


def _under(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" class="mid">{escape(text)}</text>'


def _path(
    xs: Sequence[float], ys: Sequence[float | None], colour: Colour, dashed: bool, dots: bool = False
) -> str:
    points = [None if y is None else (x, y) for x, y in zip(xs, ys, strict=True)]
    moves = "".join(
        f"{'L' if before is not None else 'M'}{point[0]:.1f} {point[1]:.1f}"
        for before, point in pairwise([None, *points])
        if point is not None
    )
    marked = dots or len(points) < 30
    circles = "".join(
        f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.6" style="fill:{colour.css}"/>'
        for point in (points if marked else [])
        if point is not None
    )
    dash = ";stroke-dasharray:7 4" if dashed else ""
    return f'<path class="line" d="{moves}" style="stroke:{colour.css}{dash}"/>{circles}'


def _level(picture: Lines | Bars, up: Upwards) -> str:
    if picture.reference is None:
        return ""
    name, value = picture.reference
    y = up.place(value)
    if y is None:
        return ""
    return (
        f'<path class="level" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" class="end">{escape(name)}</text>'
    )


def _key(names: Sequence[str], colours: Sequence[Colour]) -> str:
    if len(names) < 2:
        return ""
    return "".join(
        f'<span class="hue"><i style="background:{colour.css}"></i>{escape(name)}</span>'
        for name, colour in zip(names, colours, strict=True)
    )


def _figure(picture: Lines | Bars, body: str, key: str) -> str:
    across = f"{picture.x_label} →" if isinstance(picture, Lines) else ""
    titles = (
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" class="end">{escape(across)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 3}">{escape(picture.y_label)}</text>'
    )
    return (
        f'<figure><figcaption>{escape(picture.title)} {key}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(alt(picture))}">{body}{titles}</svg></figure>'
    )
