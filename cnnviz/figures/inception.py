"""Inception blocks as Plotly figures: class selectivity of branches, growth with and without bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.bottleneck import Stage
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED, Colour, build_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Which class each branch of a block answers to, as a Plotly figure.

Table = NDArray[np.float64]
"""Mean magnitude `(branches, classes)`; NaN for a class without images."""
MOST = 25
"""Classes shown; of more, those in which a branch strays farthest from its average."""


def relative(table: Table) -> Table:
    """How far each class lies above a branch's average over its classes, 0.1 for a tenth more.

    All 0 for a branch that is silent.
    """
    known = ~np.isnan(table)
    sums = np.where(known, table, 0).sum(1, keepdims=True)
    mean = sums / np.maximum(1, known.sum(1, keepdims=True))
    return np.where(mean > 0, table / np.where(mean > 0, mean, 1) - 1, np.where(known, 0.0, np.nan))


def branch_classes(table: Table, titles: Sequence[str], classes: Sequence[str]) -> Figure:
    """A group of bars a class, a bar a branch, up where it is louder than on average."""
    strays = relative(table)
    shown = _telling(strays)
    names = [classes[place] for place in shown]
    data = [
        {
            "type": "bar",
            "name": title,
            "x": names,
            "y": strays[place, shown].astype(np.float32),
            "customdata": table[place, shown].astype(np.float32),
            "marker": {"color": hue},
            "hovertemplate": "%{y:+.1%}, mean magnitude %{customdata:.4g}",
        }
        for place, (title, hue) in enumerate(zip(titles, COMPARED, strict=True))
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "hovermode": "x unified",
        "xaxis": {"type": "category"},
        "yaxis": {"tickformat": "+~%", "title": {"text": "against the branch's average"}},
        "legend": {"orientation": "h", "y": 1.01, "x": 0, "yanchor": "bottom"},
    }
    return build_figure(data, layout)


def favourites(table: Table) -> list[tuple[int, float]]:
    """For each branch the class that it answers to most, and how far that lies above its average."""
    strays = np.nan_to_num(relative(table), nan=-np.inf)
    return [(int(row.argmax()), float(row.max())) for row in strays]


def _telling(strays: Table) -> list[int]:
    count = strays.shape[1]
    if count <= MOST:
        return list(range(count))
    most = np.nan_to_num(np.abs(strays)).max(0)
    return sorted(np.argsort(-most, kind="stable")[:MOST].tolist())


# How a network grows from block to block, with and without 1×1 reductions, as a Plotly figure.

NAIVE, REDUCED = COMPARED[1], COMPARED[0]
"""The two forms, wherever they stand side by side."""


def growth(naive: Sequence[Stage], reduced: Sequence[Stage]) -> Figure:
    """Maps that leave each block, above; multiply-adds of each block, below. Both have the same blocks."""
    names = [stage.name.rpartition("_")[2] for stage in naive]
    data = []
    for title, stages, hue, symbol in (
        ("naive", naive, NAIVE, "circle"),
        ("with reductions", reduced, REDUCED, "square"),
    ):
        channels = [stage.channels for stage in stages]
        macs = [stage.cost.macs for stage in stages]
        data += [
            _line(title, names, channels, hue, symbol, "y", "%{y:,} maps"),
            _line(title, names, macs, hue, symbol, "y2", "%{y:,} multiply-adds") | {"showlegend": False},
        ]
    layout = {
        "hovermode": "x unified",
        "xaxis": {"type": "category", "anchor": "y2", "title": {"text": "inception block"}},
        "yaxis": {"title": {"text": "maps"}, "domain": [0.56, 1], "rangemode": "tozero", "tickformat": ","},
        "yaxis2": {
            "title": {"text": "multiply-adds"}, "domain": [0, 0.44], "rangemode": "tozero",
            "tickformat": "~s",
        },
        "legend": {"orientation": "h", "y": 1.01, "x": 0, "yanchor": "bottom"},
    }  # fmt: skip
    return build_figure(data, layout)


def _line(
    title: str, x: list[str], y: list[int], hue: Colour, symbol: str, axis: str, hover: str
) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": title,
        "x": x,
        "y": y,
        "yaxis": axis,
        "legendgroup": title,
        "line": {"color": hue, "width": 2},
        "marker": {"size": 8, "symbol": symbol, "color": hue},
        "hovertemplate": hover,
    }


def growth_alt(naive: Sequence[Stage], reduced: Sequence[Stage]) -> str:
    """The figure in words."""
    first, last = naive[0], naive[-1]
    return (
        f"Naive blocks give {numbers.exact(first.channels)} maps after the first and "
        f"{numbers.exact(last.channels)} after the last; with reductions it is "
        f"{numbers.exact(reduced[0].channels)} and {numbers.exact(reduced[-1].channels)}."
    )
