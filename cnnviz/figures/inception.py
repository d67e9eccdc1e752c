"""Inception blocks as Plotly figures: class selectivity of branches, growth with and without bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.bottleneck import Stage
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED, Color, build_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Class selectivity of a block's branches.

Table = NDArray[np.float64]
"""Mean magnitude `(branches, classes)`; NaN for a class without images."""
MAX_CLASSES = 25
"""Maximum number of classes shown; of more, those in which a branch deviates most from its average."""


def relative(table: Table) -> Table:
    """Compute each class's deviation from its branch's mean over classes, as a fraction: 0.1 is 10 % above.

    Args:
        table: Mean magnitudes `(branches, classes)`, NaN for a class without images.

    Returns:
        Deviations of the same shape; all 0 for a branch whose output is zero, NaN where `table` is.
    """
    known = ~np.isnan(table)
    sums = np.where(known, table, 0).sum(1, keepdims=True)
    mean = sums / np.maximum(1, known.sum(1, keepdims=True))
    return np.where(mean > 0, table / np.where(mean > 0, mean, 1) - 1, np.where(known, 0.0, np.nan))


def branch_classes(table: Table, titles: Sequence[str], classes: Sequence[str]) -> Figure:
    """Build grouped bars of deviations from the branch's mean: a group per class, a bar per branch.

    Args:
        table: Mean magnitudes `(branches, classes)`.
        titles: Names of the branches.
        classes: Names of the classes.
    """
    strays = relative(table)
    shown = _most_selective(strays)
    names = [classes[index] for index in shown]
    data = [
        {
            "type": "bar",
            "name": title,
            "x": names,
            "y": strays[index, shown].astype(np.float32),
            "customdata": table[index, shown].astype(np.float32),
            "marker": {"color": hue},
            "hovertemplate": "%{y:+.1%}, mean magnitude %{customdata:.4g}",
        }
        for index, (title, hue) in enumerate(zip(titles, COMPARED, strict=True))
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


def preferred_classes(table: Table) -> list[tuple[int, float]]:
    """Return, for each branch, the class with the largest mean magnitude and its relative deviation."""
    strays = np.nan_to_num(relative(table), nan=-np.inf)
    return [(int(row.argmax()), float(row.max())) for row in strays]


def _most_selective(strays: Table) -> list[int]:
    count = strays.shape[1]
    if count <= MAX_CLASSES:
        return list(range(count))
    deviations = np.nan_to_num(np.abs(strays)).max(0)
    return sorted(np.argsort(-deviations, kind="stable")[:MAX_CLASSES].tolist())


# Channels and multiply-adds by block, with and without 1×1 bottlenecks.

NAIVE, REDUCED = COMPARED[1], COMPARED[0]
"""Colors of the two variants on every page that compares them."""


def growth(naive: Sequence[Stage], reduced: Sequence[Stage]) -> Figure:
    """Plot output channels (top panel) and multiply-adds (bottom panel) of each block, naive against reduced.

    Both sequences describe the same blocks in the same order.
    """
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
    title: str, x: list[str], y: list[int], hue: Color, symbol: str, axis: str, hover: str
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
    """Describe `growth` in words, as its alternative text."""
    first, last = naive[0], naive[-1]
    return (
        f"Naive blocks give {numbers.exact(first.channels)} maps after the first and "
        f"{numbers.exact(last.channels)} after the last; with reductions it is "
        f"{numbers.exact(reduced[0].channels)} and {numbers.exact(reduced[-1].channels)}."
    )
