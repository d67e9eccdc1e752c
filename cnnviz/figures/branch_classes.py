"""Which class each branch of a block answers to, as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import COMPARED

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
            "marker": {"color": hue.css},
            "hovertemplate": "%{y:+.1%}, mean magnitude %{customdata:.4g}",
        }
        for place, (title, hue) in enumerate(zip(titles, COMPARED, strict=True))
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "hovermode": "x unified",
        "xaxis": {"type": "category"},
        "yaxis": {"tickformat": "+.0%", "title": {"text": "against the branch's average"}},
        "legend": {"orientation": "h", "y": 1.01, "x": 0, "yanchor": "bottom"},
    }
    return {"data": data, "layout": layout}


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
