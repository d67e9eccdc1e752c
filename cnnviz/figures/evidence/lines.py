"""Curves of a finding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnviz.diagnosis import Lines, Series
from cnnviz.figures.curves import Figure, Line, Panel, Reference, curves
from cnnviz.figures.evidence.hues import hues
from cnnviz.figures.palette import PAPER, Colour
from cnnviz.figures.smoothing import Floats

FEW = 12
"""Up to so many points, each is marked; of more, marks would hide how a line is dashed."""
STILL = 0.25
"""Part of its largest value: what spans less is drawn from zero on."""
MOST_DECADES = 6
"""Marks on a logarithmic axis."""
NAME_PAPER = f"color-mix(in srgb, {PAPER} 80%, transparent)"
"""Behind a level's name: a run that does not learn lies on its level."""


def lines(picture: Lines) -> Figure:
    """Plotly's JSON: series by hue, dashed as they are; what cannot stand on its axis is a gap."""
    colours = hues([series.dashed for series in picture.series])
    panel = Panel(
        picture.y_label,
        [_line(one, hue, picture.logarithmic) for one, hue in zip(picture.series, colours, strict=True)],
        log=picture.logarithmic,
        percent=picture.percent,
        references=[Reference(*picture.reference)] if picture.reference else [],
    )
    figure = curves([panel], x_title=picture.x_label, revision=picture.title)
    values = np.concatenate([line.y for line in panel.lines] or [np.array([])])
    if picture.logarithmic:
        figure["layout"]["yaxis"] |= decades(values)
    elif picture.reference and _still(values):
        figure["layout"]["yaxis"]["rangemode"] = "tozero"
    for trace in figure["data"]:
        trace["mode"] = "lines+markers" if len(trace["x"]) <= FEW else "lines"
    for name in figure["layout"]["annotations"]:
        name["bgcolor"] = NAME_PAPER
    figure["layout"]["showlegend"] = len(picture.series) > 1
    return figure


def _still(values: Floats) -> bool:
    """Whether a run moves so little that an axis of its own would make a storm of it."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(np.ptp(known) < STILL * known.max())


def _line(series: Series, colour: Colour, logarithmic: bool) -> Line:
    values = np.array([np.nan if value is None else value for value in series.y], np.float64)
    return Line(
        series.name, np.array(series.x, np.float64), shown(values, logarithmic),
        "test" if series.dashed else "train", colour,
    )  # fmt: skip


def decades(values: Floats) -> dict[str, Any]:
    """Marks of a logarithmic axis: powers of ten alone, where there are two or more of them."""
    known = values[np.isfinite(values)]
    span = float(np.log10(known.max() / known.min())) if len(known) else 0.0
    marks = {"dtick": math.ceil(span / MOST_DECADES)} if span >= 2 else {}
    return {"type": "log", "exponentformat": "power", "tickformat": ""} | marks


def shown(values: Floats, logarithmic: bool) -> Floats:
    """What can be drawn; NaN for the rest."""
    drawn = np.isfinite(values) & (values > 0 if logarithmic else True)
    return np.where(drawn, values, np.nan)
