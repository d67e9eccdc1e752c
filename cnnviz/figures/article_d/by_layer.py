"""One figure of every layer of a network, on a logarithmic axis: what shrinks, shrinks by factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import Colour


class Trail(NamedTuple):
    """One line: a value above 0 for each layer, in the network's order."""

    label: str
    names: Sequence[str]
    values: Sequence[float]
    colour: Colour
    dashed: bool = False
    """What was reckoned and not measured."""


def by_layer(trails: Sequence[Trail], y_title: str, revision: str = "") -> Figure:
    """The trails over the layers of the first one; another `revision` forgets the user's zoom."""
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines" if trail.dashed else "lines+markers",
            "name": trail.label,
            "x": list(trail.names),
            "y": list(trail.values),
            "line": {"color": trail.colour.css, "width": 1.8, "dash": "dash" if trail.dashed else "solid"},
            "marker": {"color": trail.colour.css, "size": 7},
            "hovertemplate": "%{y:.3~g}",
        }
        for trail in trails
    ]
    layout = {
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
        "xaxis": {"type": "category", "categoryarray": list(trails[0].names), "showgrid": False},
        "yaxis": {"type": "log", "title": {"text": y_title}, "exponentformat": "power", "dtick": 1},
        "uirevision": f"{y_title}|{revision}",
    }
    return {"data": data, "layout": layout}


def by_layer_alt(trails: Sequence[Trail], y_title: str) -> str:
    """The figure in words: where each trail begins and ends."""
    said = [
        f"{t.label} from {t.values[0]:.2g} at {t.names[0]} to {t.values[-1]:.2g} at {t.names[-1]}"
        for t in trails
    ]
    return f"{y_title}, layer by layer: {'; '.join(said)}."
