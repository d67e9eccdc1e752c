"""An experiment as a picture: each seed's accuracy in each arm, and how far each arm is from the base."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from cnnviz.experiments import ArmResult, Result
from cnnviz.experiments.table import difference_text
from cnnviz.figures.curves import Figure
from cnnviz.figures.landscape import INK
from cnnviz.figures.numbers import percent
from cnnviz.figures.palette import COMPARED, Colour

LABEL_WIDTH = 16
"""Characters of a line of an arm's name under the picture."""
SPREAD = 0.16
"""Dots of one arm are spread over twice this to the sides, by seed."""
ROOM, LEAST = 0.12, 0.02
"""Above and below the runs: a part of what they span, and at least so much of accuracy."""
UPPER, LOWER = (0.44, 1.0), (0.0, 0.32)
"""Parts of the height."""


def experiment(result: Result) -> Figure:
    """The picture, an arm a column.

    Above, a dot for each seed, joined from arm to arm, and a bar at the mean. Below, the mean paired
    difference to the base in percentage points, with its interval where there is one.
    """
    places = range(len(result.arms))
    axis = {
        "tickvals": list(places),
        "ticktext": [_wrapped(arm.name) for arm in result.arms],
        "range": [-0.5, len(result.arms) - 0.5],
        "showgrid": False,
    }
    return {
        "data": [_pairs(result), *_dots(result), *_means(result), *_differences(result)],
        "layout": {
            "xaxis": {**axis, "anchor": "y2"},
            "yaxis": {
                "title": {"text": "test accuracy"},
                "domain": list(UPPER),
                "tickformat": _ticks(result),
                **_reach(result),
            },
            "yaxis2": {"title": {"text": "difference, points"}, "domain": list(LOWER), **_span(result)},
            "shapes": [_zero()],
            "annotations": [] if any(arm.n for arm in result.arms) else [_awaited()],
            "hovermode": "closest",
            "showlegend": False,
            "uirevision": f"{result.name}|{len(result.arms)}",
        },
    }


def experiment_alt(result: Result) -> str:
    """The picture in words."""
    arms = [
        f"{arm.name}: mean {percent(arm.mean, 1)} of {arm.n} runs"
        + ("" if place == 0 else f", {difference_text(arm)} points to {result.arms[0].name}")
        for place, arm in enumerate(result.arms)
        if arm.mean is not None
    ]
    return f"Test accuracy by arm, a dot a seed. {'; '.join(arms) or 'No run has finished yet'}."


def hue(place: int) -> Colour:
    """The colour of an arm; the base is in ink."""
    return INK if place == 0 else COMPARED[(place - 1) % len(COMPARED)]


def _offset(place: int, count: int) -> float:
    return 0.0 if count < 2 else SPREAD * (2 * place / (count - 1) - 1)


def _pairs(result: Result) -> dict[str, Any]:
    """A faint line for each seed, from arm to arm; a gap where a run is missing."""
    x: list[float | None] = []
    y: list[float | None] = []
    count = len(result.arms[0].outcomes)
    for seed in range(count):
        for place, arm in enumerate(result.arms):
            x.append(place + _offset(seed, count))
            y.append(arm.outcomes[seed].accuracy)
        x.append(None)
        y.append(None)
    return {
        "type": "scatter", "mode": "lines", "name": "pairs", "x": x, "y": y, "hoverinfo": "skip",
        "opacity": 0.35, "line": {"width": 1, "color": "var(--st-text-color)"},
    }  # fmt: skip


def _dots(result: Result) -> list[dict[str, Any]]:
    count = len(result.arms[0].outcomes)
    traces = []
    for place, arm in enumerate(result.arms):
        there = [(i, o) for i, o in enumerate(arm.outcomes) if o.accuracy is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": arm.name,
                "x": [place + _offset(i, count) for i, _ in there],
                "y": [o.accuracy for _, o in there],
                "customdata": [[str(o.run or ""), f"seed {o.seed}"] for _, o in there],
                "hovertemplate": "%{y:.2%}, %{customdata[1]}<extra></extra>",
                "marker": {"size": 9, "color": hue(place).css},
            }
        )
    return traces


def _means(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{arm.name}, mean",
            "x": [place - 2 * SPREAD, place + 2 * SPREAD],
            "y": [arm.mean, arm.mean],
            "line": {"width": 2.5, "color": hue(place).css},
            "hovertemplate": f"mean of {arm.n}: %{{y:.2%}}<extra></extra>",
        }
        for place, arm in enumerate(result.arms)
        if arm.mean is not None
    ]


def _differences(result: Result) -> list[dict[str, Any]]:
    traces = []
    for place, arm in enumerate(result.arms):
        found = arm.difference
        if found is None:
            continue
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "markers",
            "name": f"{arm.name}, difference",
            "x": [place],
            "y": [100 * found.mean],
            "yaxis": "y2",
            "marker": {"size": 10, "symbol": "square", "color": hue(place).css},
            "hovertemplate": f"{difference_text(arm)} points, n = {found.n}<extra></extra>",
        }
        if found.half is not None:
            trace["error_y"] = {
                "type": "data", "array": [100 * found.half], "thickness": 2, "width": 9,
                "color": hue(place).css,
            }  # fmt: skip
        traces.append(trace)
    return traces


def _zero() -> dict[str, Any]:
    """The base, from which differences are counted."""
    return {
        "type": "line", "xref": "x domain", "yref": "y2", "x0": 0, "x1": 1, "y0": 0, "y1": 0,
        "line": {"color": "var(--st-text-color)", "width": 1, "dash": "dot"}, "opacity": 0.7,
    }  # fmt: skip


def _awaited() -> dict[str, Any]:
    return {
        "text": "a dot for every run that ends will stand here", "xref": "paper", "yref": "paper", "x": 0.5,
        "y": sum(UPPER) / 2, "showarrow": False, "opacity": 0.7,
    }  # fmt: skip


def _span(result: Result) -> dict[str, Any]:
    """The range of the lower panel: zero, and every interval whole."""
    ends = [0.0, *(end for arm in result.arms for end in _ends(arm))]
    room = ROOM * (max(ends) - min(ends)) or 1.0
    return {"range": [min(ends) - room, max(ends) + room]}


def _ends(arm: ArmResult) -> Sequence[float]:
    found = arm.difference
    if found is None:
        return ()
    half = found.half or 0.0
    return (100 * (found.mean - half), 100 * (found.mean + half))


def _reach(result: Result) -> dict[str, Any]:
    """The range of the upper panel: every run with room around, and hardly beyond 0 and 1."""
    values = [value for arm in result.arms for value in arm.values]
    if not values:
        return {"range": [0, 1]}
    room = max(ROOM * (max(values) - min(values)), LEAST)
    return {"range": [max(min(values) - room, -LEAST), min(max(values) + room, 1 + LEAST)]}


def _ticks(result: Result) -> str:
    """Percentages with as many digits as tell the values apart."""
    values = [value for arm in result.arms for value in arm.values]
    return ".1%" if values and max(values) - min(values) < 0.05 else ".0%"


def _wrapped(name: str) -> str:
    return "<br>".join(textwrap.wrap(name, LABEL_WIDTH)) or name
