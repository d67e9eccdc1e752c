"""Bars of a finding, one a layer or class; on a logarithmic axis points, since a bar needs a zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.diagnosis import Bars
from cnnviz.figures.curves import Figure, Reference, level, level_name
from cnnviz.figures.evidence.hues import hues
from cnnviz.figures.evidence.lines import NAME_PAPER, decades, shown
from cnnviz.figures.layer_bars import shortened
from cnnviz.figures.palette import Colour
from cnnviz.figures.smoothing import Floats

FAINT = 0.35
MOST_LABELS = 30
"""Of more names only some are written along the axis."""


def bars(picture: Bars) -> Figure:
    """Plotly's JSON; what the finding is about stands out where it names something."""
    colours = hues([False] * len(picture.values))
    data = [
        _trace(picture, name, np.array([np.nan if v is None else v for v in values], np.float64), colour)
        for (name, values), colour in zip(picture.values.items(), colours, strict=True)
    ]
    places = range(0, len(picture.names), max(1, -(-len(picture.names) // MOST_LABELS)))
    vertical: dict[str, Any] = {"title": {"text": picture.y_label}, "tickformat": "~g"}
    if picture.percent:
        vertical["tickformat"] = ".0%"
    if picture.logarithmic:
        vertical |= decades(np.concatenate([trace["y"] for trace in data]))
    layout: dict[str, Any] = {
        "barmode": "group",
        "bargap": 0.25,
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
        "xaxis": {
            "tickvals": list(places),
            "ticktext": [_label(picture, place) for place in places],
            "range": [-0.6, len(picture.names) - 0.4],
            "showgrid": False,
        },
        "yaxis": vertical,
        "uirevision": picture.title,
    }
    if picture.reference:
        reference = Reference(*picture.reference)
        layout["shapes"] = [level(reference)]
        layout["annotations"] = [level_name(reference, log=picture.logarithmic) | {"bgcolor": NAME_PAPER}]
    return {"data": data, "layout": layout}


def _trace(picture: Bars, name: str, values: Floats, colour: Colour) -> dict[str, Any]:
    told = ".2%" if picture.percent else ".4~g"
    trace = {
        "name": name,
        "x": list(range(len(picture.names))),
        "y": shown(values, picture.logarithmic),
        "customdata": list(picture.names),
        "hovertemplate": f"%{{customdata}}: %{{y:{told}}}",
        "marker": {"color": colour.css, "opacity": _opacity(picture)},
    }
    if not picture.logarithmic:
        return trace | {"type": "bar"}
    sizes = {"size": [11 if name in picture.marked else 7 for name in picture.names]}
    return trace | {
        "type": "scatter",
        "mode": "lines+markers",
        "line": {"color": colour.css, "width": 1.6},
        "marker": {"color": colour.css} | sizes,
    }


def _opacity(picture: Bars) -> list[float]:
    return [1.0 if not picture.marked or name in picture.marked else FAINT for name in picture.names]


def _label(picture: Bars, place: int) -> str:
    name = shortened(picture.names[place])
    return f"<b>{name}</b>" if picture.names[place] in picture.marked else name
