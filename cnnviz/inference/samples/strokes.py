"""Lines with round ends, drawn large and reduced, so that their edges are soft."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Stroke = Sequence[Point]
FINER = 8
"""How many times larger than wanted everything is drawn."""


def arc(centre: Point, radii: Point, start: float, end: float, steps: int = 40) -> list[Point]:
    """Points on an ellipse from `start` to `end` degrees, 0 to the right, 90 down."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles]


def drawn(strokes: Iterable[Stroke], side: int, width: float) -> Image.Image:
    """Strokes in a unit square, white on black, as a grey picture; `width` is a part of the `side`."""
    large = side * FINER
    picture = Image.new("L", (large, large))
    pen, radius = ImageDraw.Draw(picture), width * large / 2
    for stroke in strokes:
        points = [(x * large, y * large) for x, y in stroke]
        pen.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return picture.resize((side, side), Image.Resampling.BOX)
