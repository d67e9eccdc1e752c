"""How a network grows from block to block, with and without 1×1 reductions, as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.analysis.reduction import Stage
from cnnviz.figures import numbers
from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import COMPARED, Colour

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
    return {"data": data, "layout": layout}


def _line(
    title: str, x: list[str], y: list[int], hue: Colour, symbol: str, axis: str, told: str
) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": title,
        "x": x,
        "y": y,
        "yaxis": axis,
        "legendgroup": title,
        "line": {"color": hue.css, "width": 2},
        "marker": {"size": 8, "symbol": symbol, "color": hue.css},
        "hovertemplate": told,
    }


def growth_alt(naive: Sequence[Stage], reduced: Sequence[Stage]) -> str:
    """The figure in words."""
    first, last = naive[0], naive[-1]
    return (
        f"Naive blocks give {numbers.exact(first.channels)} maps after the first and "
        f"{numbers.exact(last.channels)} after the last; with reductions it is "
        f"{numbers.exact(reduced[0].channels)} and {numbers.exact(reduced[-1].channels)}."
    )
