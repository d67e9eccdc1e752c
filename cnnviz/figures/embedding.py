"""Embedding plot: images as points in two dimensions, colored and labeled by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.plotly_theme import PAPER, TEXT, Color, build_figure, oklch, translucent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GOLDEN = 137.508
"""Degrees between the hues of successive classes (golden angle), so that any few of them differ clearly."""


def class_color(number: int) -> Color:
    """Return the color of a class: hues a golden angle apart, in three lightnesses, for both themes."""
    light, dark = (0.48, 0.62, 0.55)[number % 3], (0.72, 0.84, 0.78)[number % 3]
    hue = (25 + GOLDEN * number) % 360
    return Color(oklch(light, 0.14, hue), oklch(dark, 0.13, hue))


def scatter(
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    rows: NDArray[np.int64],
    chosen: int | None = None,
) -> Figure:
    """Plot an embedding, one trace per class with its name at the class median.

    Args:
        points: Coordinates `(N, 2)`.
        labels: Class of each point `(N,)`.
        classes: Names of the classes.
        rows: Index of each point's image in the data set `(N,)`; `customdata` is `(row, index)`.
        chosen: Row of the point that is ringed.
    """
    indices = np.arange(len(rows))
    traces, notes = [], []
    for label in np.unique(labels).tolist():
        own = labels == label
        traces.append(
            {
                "type": "scatter",
                "name": classes[label],
                "x": points[own, 0].tolist(),
                "y": points[own, 1].tolist(),
                "customdata": np.stack([rows, indices], axis=1)[own].tolist(),
                "mode": "markers",
                "marker": {"size": 6, "color": class_color(label), "opacity": 0.8},
                "hovertemplate": f"{classes[label]}, test image %{{customdata[0]:,}}<extra></extra>",
            }
        )
        middle = np.median(points[own], axis=0).tolist()
        notes.append(
            {
                "x": middle[0],
                "y": middle[1],
                "text": f"<b>{classes[label]}</b>",
                "showarrow": False,
                "bgcolor": translucent(PAPER, 0.7),
            }
        )
    traces += [_ring(points[index]) for index in np.flatnonzero(rows == chosen)]
    hidden = {"showticklabels": False, "ticks": ""}
    layout = {"xaxis": hidden, "yaxis": hidden, "annotations": notes, "hovermode": "closest"}
    return build_figure(traces, layout)


def _ring(point: NDArray[np.float32]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": "the chosen image",
        "x": [float(point[0])],
        "y": [float(point[1])],
        "mode": "markers",
        "marker": {
            "size": 16,
            "symbol": "circle-open",
            "color": TEXT,
            "line": {"width": 2},
        },
        "hoverinfo": "skip",
    }
