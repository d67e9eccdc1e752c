"""Distributions as Plotly figures: pixel values by channel, weights of a layer, images in an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.plotly_theme import COMPARED, PAPER, TEXT, Color, build_figure, oklch, translucent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.interpret.filters import Histogram

# Pixel values by channel.

CHANNELS: dict[str, tuple[Color, str]] = {
    "red": (Color("#c8502a", "#f0865a"), "solid"),
    "green": (Color("#1b7f3b", "#5cc27e"), "dash"),
    "blue": (Color("#2b57c4", "#86a8ff"), "dot"),
}
"""Color and dash style of each color channel."""
GREY = (Color("#40484c", "#c3cbcf"), "solid")


def channel_names(count: int) -> Sequence[str]:
    """Return the names of the channels: gray, or red, green and blue."""
    return ("gray",) if count == 1 else tuple(CHANNELS)


def channel_histogram(histogram: NDArray[np.int64]) -> Figure:
    """Plot a pixel histogram by channel, in percent of the pixels on a logarithmic axis.

    Args:
        histogram: Counts `(C, 256)`; values with a count of 0 become gaps.
    """
    shares = 100 * histogram / histogram.sum(axis=1, keepdims=True)
    names = channel_names(len(histogram))
    traces = []
    for name, share in zip(names, shares, strict=True):
        colour, dash = CHANNELS.get(name, GREY)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": list(range(256)),
                "y": [float(value) if value > 0 else None for value in share],
                "line": {"color": colour, "dash": dash, "width": 1.6, "shape": "hvh"},
                "hovertemplate": "value %{x}: %{y:.3g} % of the pixels",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "value of a pixel, 0 black to 255"}, "range": [-3, 258]},
        "yaxis": {"title": {"text": "% of pixels"}, "type": "log", "dtick": 1},
        "showlegend": len(names) > 1,
        "legend": {"orientation": "h", "y": 1.08, "x": 0},
        "hovermode": "x unified",
        "margin": {"l": 56, "r": 8, "t": 8, "b": 42},
    }
    return build_figure(traces, layout)


def histogram_words(histogram: NDArray[np.int64]) -> str:
    """Describe the pixel histogram in words."""
    shares = histogram.sum(axis=0) / histogram.sum()
    common = int(shares.argmax())
    return (
        f"Share of each pixel value from 0 to 255, {' and '.join(channel_names(len(histogram)))}; the most "
        f"common is {common}, taken by {100 * shares[common]:.3g} % of the pixels."
    )


# Weights of a layer, of one network or two.


def weight_histogram(drawn: Sequence[tuple[str, Histogram]]) -> Figure:
    """Plot a stepped line per network.

    Shares instead of counts, so that layers of different size are comparable.
    """
    traces = [
        {
            "type": "scatter",
            "name": name,
            "x": ((weights.edges[:-1] + weights.edges[1:]) / 2).tolist(),
            "y": (weights.counts / max(1, int(weights.counts.sum()))).tolist(),
            "mode": "lines",
            "line": {"shape": "hvh", "color": COMPARED[index], "width": 1.6},
            "fill": "tozeroy" if len(drawn) == 1 else "none",
        }
        for index, (name, weights) in enumerate(drawn)
    ]
    layout = {
        "xaxis": {"title": {"text": "weight"}},
        "yaxis": {"title": {"text": "share of the weights"}, "tickformat": "~%", "rangemode": "tozero"},
        "showlegend": len(drawn) > 1,
    }
    return build_figure(traces, layout)


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
