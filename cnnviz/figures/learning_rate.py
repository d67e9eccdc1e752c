"""Loss against learning rate: the figure of a range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnviz.figures.palette import COMPARED
from cnnviz.figures.params_macs import INK
from cnnviz.figures.plotly_theme import build_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ABOVE = 1.6
"""Times the first loss up to which the axis of losses reaches: what diverges would leave nothing else."""


def range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None
) -> Figure:
    """Draw each step's loss as a point and the smoothed loss as a line, over the rate on a logarithmic axis.

    Args:
        rates: Learning rates, rising.
        losses: Of each step's batch, in nats.
        smoothed: Their exponential mean.
        suggestion: A rate that is marked; None where there is none.
    """
    hue = COMPARED[0]
    mark = [] if suggestion is None else [{
        "type": "line", "x0": suggestion, "x1": suggestion, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": INK, "width": 1.5, "dash": "dot"},
    }]  # fmt: skip
    label = [] if suggestion is None else [{
        "x": math.log10(suggestion), "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom",
        "showarrow": False, "text": f"suggested: {suggestion:g}",
    }]  # fmt: skip
    data = [
        {
            "type": "scatter", "mode": "markers", "name": "loss of a step", "x": list(rates),
            "y": list(losses), "marker": {"color": hue, "size": 5, "opacity": 0.45},
            "hovertemplate": "rate %{x:.2g}<br>loss %{y:.3f}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines", "name": "smoothed", "x": list(rates),
            "y": list(smoothed), "line": {"color": hue, "width": 2.5},
            "hovertemplate": "rate %{x:.2g}<br>smoothed loss %{y:.3f}<extra></extra>",
        },
    ]  # fmt: skip
    layout = {
        "xaxis": {"type": "log", "title": {"text": "learning rate →"}, "dtick": 1, "exponentformat": "power"},
        "yaxis": {"title": {"text": "training loss"}, "range": [0, ABOVE * max(losses[0], smoothed[0])]},
        "shapes": mark,
        "annotations": label,
        "hovermode": "closest",
        "uirevision": "range-test",
    }
    return build_figure(data, layout)


def range_test_alt(rates: Sequence[float], smoothed: Sequence[float], suggestion: float | None) -> str:
    """The figure in words."""
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    marked = f"; suggested is {suggestion:g}" if suggestion is not None else "; no rate is suggested"
    return (
        f"Training loss against learning rate from {rates[0]:.2g} to {rates[-1]:.2g}: it begins at "
        f"{smoothed[0]:.2f} and is lowest, {smoothed[lowest]:.2f}, at {rates[lowest]:.2g}{marked}."
    )
