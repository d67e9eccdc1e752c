"""Paired runs: a row for each arm, a point for each seed, and how far the arm is from the base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnviz.diagnosis.recorded.table import Arm
from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import COMPARED
from cnnviz.sentences import percent

ROOM = 1.25
"""To the right of the best run; an interval that goes beyond is cut off, and told in the table."""


def paired_runs(arms: Sequence[Arm], chance: float) -> Figure:
    """Accuracies in [0, 1] with the 95 % interval of each arm around its mean; the base first, on top.

    The interval is that of the difference to the base, so it is drawn around what the base reached and the
    difference together.
    """
    base = arms[0]
    names = [arm.name for arm in arms]
    intervals = [arm.gain.half if arm.gain is not None else None for arm in arms]
    means: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "mean, and 95 % interval of the difference",
        "y": names,
        "x": [base.accuracy + (arm.gain.mean if arm.gain is not None else 0) for arm in arms],
        "error_x": {"type": "data", "array": [half or 0 for half in intervals], "thickness": 1.6, "width": 5},
        "marker": {"symbol": "line-ns-open", "size": 14, "line": {"width": 2.4}, "color": COMPARED[0].css},
        "hovertemplate": "%{y}: mean %{x:.1%}<extra></extra>",
    }
    points: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "one run",
        "y": [arm.name for arm in arms for _ in arm.accuracies],
        "x": [value for arm in arms for value in arm.accuracies],
        "marker": {"size": 7, "color": COMPARED[1].css, "opacity": 0.75},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    layout = {
        "xaxis": {
            "title": {"text": "accuracy on test images"},
            "tickformat": ".0%",
            "range": [0, min(1.0, ROOM * max(max(arm.accuracies) for arm in arms))],
        },
        "yaxis": {"categoryarray": names, "autorange": "reversed", "automargin": True, "showgrid": True},
        "shapes": [
            {
                "type": "line", "xref": "x", "yref": "paper", "x0": chance, "x1": chance, "y0": 0, "y1": 1,
                "line": {"color": "var(--st-text-color)", "width": 1, "dash": "dot"}, "opacity": 0.6,
            }
        ],
        "hovermode": "closest",
        "uirevision": "paired",
    }  # fmt: skip
    return {"data": [points, means], "layout": layout}


def paired_runs_alt(arms: Sequence[Arm]) -> str:
    """The figure in words: the mean of each arm."""
    said = [f"{arm.name} {percent(arm.accuracy, 1)}" for arm in arms]
    return f"Mean accuracy of each arm: {', '.join(said)}."
