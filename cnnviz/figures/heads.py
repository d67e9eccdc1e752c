"""The losses of auxiliary classifiers among the curves of a run."""

from __future__ import annotations

from collections.abc import Callable

from cnnviz.figures.curves import Line
from cnnviz.figures.palette import COMPARED, Colour
from cnnviz.figures.smoothing import Floats

HEADS: dict[str, tuple[str, Colour]] = {
    "train/aux1_loss": ("auxiliary 1", COMPARED[1]),
    "train/aux2_loss": ("auxiliary 2", COMPARED[2]),
}
"""By their metric: what a curve is called, and its colour."""


def head_lines(find: Callable[[str], tuple[Floats, Floats] | None]) -> list[Line]:
    """A line for each head whose metric has points; `find` gives their x and y."""
    found = ((title, hue, find(metric)) for metric, (title, hue) in HEADS.items())
    return [Line(title, *points, "train", hue) for title, hue, points in found if points is not None]
