"""Experiment figure: each seed's accuracy by condition, and the paired differences to the baseline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from cnnviz.experiments import ConditionResult, Result
from cnnviz.experiments.results import difference_text
from cnnviz.figures.numbers import percent
from cnnviz.figures.pareto import INK
from cnnviz.figures.plotly_theme import COMPARED, PAPER, TEXT, Color, build_figure, translucent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONGEST = 46
"""Maximum characters of a condition's name, which is what a phone has room for."""
ROW, REST = 64, 70
"""Pixels of a condition's row, and of the rest of the figure."""
SPREAD = 0.16
"""Jitter by seed: dots of a condition are spread over twice this fraction of its row."""
NAME_AT, MIDDLE = 0.38, 0.12
"""Offsets from a row's middle, as fractions of the row: of the name upwards, of the dots downwards."""
ROOM, MIN_MARGIN = 0.12, 0.02
"""Axis margin as a fraction of the accuracies' range, and its minimum."""
RUNS, DIFFERENCES = (0.0, 0.53), (0.65, 1.0)
"""Horizontal domains of the two panels, as fractions of the width."""
PAPER_BEHIND = translucent(PAPER, 0.75)
"""Background of a name, since the lines of the pairs run below it."""


def experiment(result: Result) -> Figure:
    """Build the figure: one row per condition, its name above it so that names align whatever their number.

    Left panel: a dot per seed, joined across conditions, and a bar at the mean. Right panel: the mean paired
    difference to the baseline in percentage points, with its confidence interval where there is one.
    """
    count = len(result.conditions)
    layout = {
        "xaxis": {
            "title": {"text": "test accuracy"},
            "domain": list(RUNS),
            "tickformat": "~%",
            **_reach(result),
        },
        "xaxis2": {
            "title": {"text": "difference, percentage points"},
            "domain": list(DIFFERENCES),
            "anchor": "y",
            **_span(result),
        },
        "yaxis": {
            "range": [count - 0.5, -0.5],
            "tickvals": [index - 0.5 for index in range(1, count)],
            "showticklabels": False,
            "zeroline": False,
        },
        "shapes": [_zero()],
        "annotations": [
            *(_name(condition.name, index) for index, condition in enumerate(result.conditions)),
            *([] if any(condition.n for condition in result.conditions) else [_awaited()]),
        ],
        "hovermode": "closest",
        "showlegend": False,
        "margin": {"l": 12},
        "uirevision": f"{result.name}|{count}",
    }
    return build_figure([_pairs(result), *_dots(result), *_means(result), *_differences(result)], layout)


def height(result: Result) -> int:
    """Return the height of the figure in pixels."""
    return REST + ROW * len(result.conditions)


def experiment_alt(result: Result) -> str:
    """Describe the figure in words."""
    conditions = [
        f"{condition.name}: mean {percent(condition.mean, 1)} of {condition.n} runs"
        + ("" if index == 0 else f", {difference_text(condition)} points to {result.conditions[0].name}")
        for index, condition in enumerate(result.conditions)
        if condition.mean is not None
    ]
    return f"Test accuracy by condition, a dot a seed. {'; '.join(conditions) or 'No run has finished yet'}."


def condition_color(index: int) -> Color:
    """Return the color of a condition by its index; the baseline is gray."""
    return INK if index == 0 else COMPARED[(index - 1) % len(COMPARED)]


def _offset(index: int, count: int) -> float:
    return MIDDLE if count < 2 else MIDDLE + SPREAD * (2 * index / (count - 1) - 1)


def _pairs(result: Result) -> dict[str, Any]:
    """Return one faint line per seed, from condition to condition, with a gap where a run is missing."""
    x: list[float | None] = []
    y: list[float | None] = []
    count = len(result.conditions[0].outcomes)
    for seed in range(count):
        for index, condition in enumerate(result.conditions):
            x.append(condition.outcomes[seed].accuracy)
            y.append(index + _offset(seed, count))
        x.append(None)
        y.append(None)
    return {
        "type": "scatter", "mode": "lines", "name": "pairs", "x": x, "y": y, "hoverinfo": "skip",
        "opacity": 0.35, "line": {"width": 1, "color": TEXT},
    }  # fmt: skip


def _dots(result: Result) -> list[dict[str, Any]]:
    count = len(result.conditions[0].outcomes)
    traces = []
    for index, condition in enumerate(result.conditions):
        measured = [(i, o) for i, o in enumerate(condition.outcomes) if o.accuracy is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": condition.name,
                "x": [o.accuracy for _, o in measured],
                "y": [index + _offset(i, count) for i, _ in measured],
                "customdata": [[str(o.run or ""), f"seed {o.seed}"] for _, o in measured],
                "hovertemplate": "%{x:.2%}, %{customdata[1]}<extra></extra>",
                "marker": {"size": 9, "color": condition_color(index)},
            }
        )
    return traces


def _means(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{condition.name}, mean",
            "x": [condition.mean, condition.mean],
            "y": [index + MIDDLE - 1.5 * SPREAD, index + MIDDLE + 1.5 * SPREAD],
            "line": {"width": 2.5, "color": condition_color(index)},
            "hovertemplate": f"mean of {condition.n}: %{{x:.2%}}<extra></extra>",
        }
        for index, condition in enumerate(result.conditions)
        if condition.mean is not None
    ]


def _differences(result: Result) -> list[dict[str, Any]]:
    traces = []
    for index, condition in enumerate(result.conditions):
        difference = condition.difference
        if difference is None:
            continue
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "markers",
            "name": f"{condition.name}, difference",
            "x": [100 * difference.mean],
            "y": [index + MIDDLE],
            "xaxis": "x2",
            "marker": {"size": 10, "symbol": "square", "color": condition_color(index)},
            "hovertemplate": f"{difference_text(condition)} points, n = {difference.n}<extra></extra>",
        }
        if difference.half is not None:
            trace["error_x"] = {
                "type": "data", "array": [100 * difference.half], "thickness": 2, "width": 9,
                "color": condition_color(index),
            }  # fmt: skip
        traces.append(trace)
    return traces


def _zero() -> dict[str, Any]:
    """Return the zero line of the differences, which is the baseline."""
    return {
        "type": "line", "xref": "x2", "yref": "y domain", "x0": 0, "x1": 0, "y0": 0, "y1": 1,
        "line": {"color": TEXT, "width": 1, "dash": "dot"}, "opacity": 0.7,
    }  # fmt: skip


def _name(name: str, index: int) -> dict[str, Any]:
    short = textwrap.shorten(name, LONGEST, placeholder=" …")
    return {
        "text": f"<b>{escape(short)}</b>", "xref": "paper", "x": 0,
        "xanchor": "left", "yref": "y", "y": index - NAME_AT, "showarrow": False, "font": {"size": 12},
        "bgcolor": PAPER_BEHIND,
    }  # fmt: skip


def _awaited() -> dict[str, Any]:
    return {
        "text": "a dot for every run that ends<br>will stand here", "xref": "paper", "yref": "paper",
        "x": sum(RUNS) / 2, "y": 0.5, "showarrow": False, "opacity": 0.7,
    }  # fmt: skip


def _span(result: Result) -> dict[str, Any]:
    """Return the range of the differences: zero and all intervals, with margins."""
    ends = [0.0, *(end for condition in result.conditions for end in _ends(condition))]
    margin = ROOM * (max(ends) - min(ends)) or 1.0
    return {"range": [min(ends) - margin, max(ends) + margin]}


def _ends(condition: ConditionResult) -> Sequence[float]:
    difference = condition.difference
    if difference is None:
        return ()
    half = difference.half or 0.0
    return (100 * (difference.mean - half), 100 * (difference.mean + half))


def _reach(result: Result) -> dict[str, Any]:
    """Return the range of the accuracies: all runs with margins, but hardly beyond [0, 1]."""
    values = [value for condition in result.conditions for value in condition.values]
    if not values:
        return {"range": [0, 1]}
    margin = max(ROOM * (max(values) - min(values)), MIN_MARGIN)
    return {"range": [max(min(values) - margin, -MIN_MARGIN), min(max(values) + margin, 1 + MIN_MARGIN)]}
