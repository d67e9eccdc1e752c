"""HTML reports: one self-contained file, in light or dark by the reader's theme, printable.

Example:
    Path("run-7.html").write_text(run.html_report(database, 7), encoding="utf-8")

Here is what the reports of a run and of a diagnosis share: style, policy, and curves as inline SVG, small
enough to embed, with round ticks and one line per split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np

from cnnviz.figures import numbers
from cnnviz.figures.curves import FEW, Floats, Part

CSS = Path(__file__).with_name("report.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

WIDTH, HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 34
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
TICKS = 5
TINY = 1e-300
"""Values up to this count as 0: a sixth of them would lose digits, or be 0."""


@dataclass(frozen=True)
class Series:
    """One curve: `x` ascending, NaN a gap; `part` decides the dash style."""

    label: str
    part: Part
    x: Floats
    y: Floats


def chart(title: str, metric: str, series: Sequence[Series], x_title: str = "epoch") -> str:
    """Draw curves as an HTML figure with heading and legend; values are formatted as `metric` is.

    Returns:
        The HTML; empty if no point is finite.
    """
    seen = [curve for curve in series if np.isfinite(curve.y).any()]
    if not seen:
        return ""
    finite = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in seen])
    across = ticks(0.0, max(float(curve.x[-1]) for curve in seen))
    up = ticks(float(finite.min()), float(finite.max()))
    body = _grid(across, up, metric, x_title) + "".join(_curve(curve, across, up) for curve in seen)
    last = "; ".join(
        f"{curve.label} {_text(metric, float(curve.y[np.isfinite(curve.y)][-1]))}" for curve in seen
    )
    key = "".join(f'<span class="key {curve.part}">{escape(curve.label)}</span>' for curve in seen)
    alt = escape(f"{title}; last values: {last}")
    return (
        f"<figure><figcaption>{escape(title)} {key}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}">{body}</svg></figure>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Return about `TICKS` round numbers that span both ends."""
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, TINY):
        pad = 0.1 * largest if largest > TINY else 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(factor for factor in ROUND if factor * unit >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _x(value: float, axis: Sequence[float]) -> float:
    return LEFT + (value - axis[0]) / (axis[-1] - axis[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, axis: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (value - axis[0]) / (axis[-1] - axis[0]) * (HEIGHT - TOP - BOTTOM)


def _grid(across: Sequence[float], up: Sequence[float], metric: str, x_title: str) -> str:
    parts = []
    for value in up:
        y = _y(value, up)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" class="end">{_text(metric, value, 3)}</text>')
    for value in across:
        x = _x(value, across)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" class="mid">{value:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" class="end">{escape(x_title)} →</text>')
    return "".join(parts)


def _curve(series: Series, across: Sequence[float], up: Sequence[float]) -> str:
    points = [
        (_x(x, across), _y(y, up)) if math.isfinite(y) else None
        for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True)
    ]
    moves = "".join(
        f"{'L' if before is not None else 'M'}{point[0]:.1f} {point[1]:.1f}"
        for before, point in pairwise([None, *points])
        if point is not None
    )
    dots = ""
    if len(points) <= FEW:
        dots = "".join(f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="2.4"/>' for p in points if p is not None)
    return f'<g class="{series.part}"><path class="line" d="{moves}"/>{dots}</g>'


def _text(metric: str, value: float, digits: int = 4) -> str:
    if numbers.is_fraction(metric):
        return f"{round(100 * value, 6):.{digits}g} %"
    return numbers.metric_text(metric, value, digits)
