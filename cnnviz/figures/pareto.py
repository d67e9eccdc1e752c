"""Cost scatter plots: accuracy against cost with the Pareto front, parameters against multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED, TEXT, Color, build_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from cnnviz.analysis import Overview

# Parameters against multiply-adds of all models, both axes logarithmic.

INK = Color("#4d575c", "#a9b4b9")


@dataclass(frozen=True)
class Group:
    """Model families that share a design principle, and a color."""

    title: str
    families: tuple[str, ...]
    colour: Color


GROUPS = (
    Group("sequential", ("LeNet", "AlexNet", "VGG", "SqueezeNet"), INK),
    Group("branches", ("GoogLeNet", "Inception"), COMPARED[1]),
    Group("shortcuts", ("ResNet", "ResNeXt", "RegNet", "DenseNet", "ConvNeXt"), COMPARED[0]),
    Group("mobile", ("MobileNet", "ShuffleNet", "MNASNet", "EfficientNet"), COMPARED[2]),
    Group("attention", ("ViT", "Swin", "MaxViT"), COMPARED[3]),
)
"""Every family belongs to exactly one of these."""
LANDMARKS = (
    "torchvision/vgg16",
    "torchvision/resnet50",
    "torchvision/vit_h_14",
    "torchvision/regnet_y_128gf",
    "torchvision/efficientnet_b0",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
    "torchvision/mobilenet_v3_small",
    "torchvision/efficientnet_v2_l",
    "torchvision/densenet121",
    "torchvision/swin_b",
    "torchvision/convnext_large",
    "torchvision/inception_v3",
)
"""Models labeled in the plot where there is room, besides cnnviz's own."""


def landscape(models: Iterable[Overview]) -> dict[str, Any]:
    """Return the scatter plot's data: `groups`, and `points` sorted so that no point hides another."""
    points = [_point(model) for model in models]
    return {
        "groups": [
            {"title": group.title, "families": ", ".join(group.families), "colour": group.colour.css}
            for group in GROUPS
        ],
        "points": sorted(points, key=lambda point: (point["ours"], -point["params"])),
    }


def landscape_words(models: Iterable[Overview]) -> str:
    """Describe the scatter plot in words: the extremes of both axes."""
    known = list(models)
    fewest, most = (pick(known, key=lambda model: model.params) for pick in (min, max))
    cheapest, dearest = (pick(known, key=lambda model: model.macs) for pick in (min, max))
    return (
        f"Parameters against multiply-adds of {len(known)} models, both on logarithmic scales: from "
        f"{numbers.short(fewest.params)} parameters ({fewest.title}) to {numbers.short(most.params)} "
        f"({most.title}), from {numbers.macs(cheapest.macs)} ({cheapest.title}) to "
        f"{numbers.macs(dearest.macs)} ({dearest.title})."
    )


def group_of(family: str) -> int:
    """Return the index in `GROUPS` of the group that `family` belongs to.

    Raises:
        KeyError: No group has the family.
    """
    for number, group in enumerate(GROUPS):
        if family in group.families:
            return number
    raise KeyError(family)


def _point(model: Overview) -> dict[str, Any]:
    accuracy = (
        "" if model.accuracy is None else f"{numbers.percent(model.accuracy, 1)} on {model.accuracy_on}"
    )
    return {
        "name": model.name,
        "title": model.title,
        "group": group_of(model.family),
        "ours": model.source == "cnnviz",
        "landmark": model.name in LANDMARKS,
        "params": model.params,
        "macs": model.macs,
        "facts": [
            f"{numbers.exact(model.params)} parameters",
            f"{numbers.macs(model.macs)} for {numbers.shape(model.input_shape)}",
            f"{model.depth} weight layers deep, {model.year}",
            *([accuracy] if accuracy else []),
        ],
    }


Cost = Literal["parameters", "time", "macs"]
TITLES: dict[Cost, str] = {
    "parameters": "parameters",
    "time": "training time",
    "macs": "multiply-adds for one image",
}
MAX_POINTS = 1_500
"""Above this number of points, one is drawn per cell of a `CELLS` grid."""
CELLS = (80, 45)
NAMED = 9
"""Maximum number of published results that are labeled; of more, labels show on hover."""
NEAR = 0.15
"""Fraction of an axis' range within which two labels would overlap."""
CLOCK = (1, 10, 60, 600, 3_600, 36_000, 86_400, 864_000)
"""Tick values of a time axis, in seconds."""
SPREAD = 1.6
"""Factor by which an axis extends beyond its outermost points."""


@dataclass(frozen=True)
class Point:
    """One result: its cost (above 0), its value (the higher the better), and the hover text."""

    key: str
    """Returned on click: the run's number; empty for points that cannot be clicked."""
    label: str
    cost: float
    value: float
    note: str = ""
    compared_index: int | None = None
    """Index among the compared runs, which decides the color; None for the others."""


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Compute the Pareto front of (cost, value) pairs: indices of non-dominated points, by ascending cost.

    A point dominates another if it costs no more, is worth no less, and is strictly better in one of the two
    (V. Pareto, Manuale di economia politica, 1906). Equal points are all kept.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    indices: list[int] = []
    best = -math.inf
    for index in order:
        cost, value = points[index]
        equal = bool(indices) and points[indices[-1]] == (cost, value)
        if value > best or equal:
            indices.append(index)
            best = value
    return indices


def pareto(runs: Sequence[Point], published: Sequence[Point], cost: Cost, *, value: str) -> Figure:
    """Plot value (upwards) against cost (to the right, logarithmic) with the Pareto front.

    Args:
        runs: Measured here; the front is theirs, or that of `published` if there are none.
        published: Results from the literature, drawn as hollow markers.
        cost: The kind of cost on the horizontal axis.
        value: Title of the vertical axis, such as `test accuracy`.
    """
    traces = [_front(runs or published), _published(published), *_runs(runs, cost)]
    shown = [*runs, *published]
    layout = {
        "xaxis": {"type": "log", "title": {"text": f"{TITLES[cost]} →"}, **_span(shown, cost)},
        "yaxis": {"title": {"text": f"{value} ↑"}, "tickformat": "~%", "range": _shares(shown)},
        "hovermode": "closest",
        "uirevision": f"{cost}|{value}",
    }
    return build_figure([trace for trace in traces if trace["x"]], layout)


def pareto_alt(runs: Sequence[Point], published: Sequence[Point], cost: Cost, *, value: str) -> str:
    """Describe `pareto` in words: the points on the front."""
    shown = runs or published
    best = [shown[i] for i in pareto_front([(point.cost, point.value) for point in shown])]
    text = "; ".join(f"{p.label}: {cost_text(cost, p.cost)}, {numbers.percent(p.value, 1)}" for p in best[:8])
    counted = f"{len(runs)} runs and {len(published)} published results"
    return (
        f"{value.capitalize()} against {TITLES[cost]} of {counted}. On the Pareto front: {text or 'nothing'}."
    )


def cost_text(cost: Cost, amount: float) -> str:
    """Format a cost with its unit: `61.7 k parameters`, `1 h 16 min`, `417 kMAC`."""
    texts: dict[Cost, Callable[[float], str]] = {
        "parameters": lambda count: f"{numbers.short(count)} parameters",
        "time": numbers.duration,
        "macs": numbers.macs,
    }
    return texts[cost](amount)


def _runs(points: Sequence[Point], cost: Cost) -> list[dict[str, Any]]:
    """Return traces: all uncompared runs in gray, then each compared run in its own color, on top."""
    compared = sorted(
        (p for p in points if p.compared_index is not None), key=lambda p: p.compared_index or 0
    )
    on_front = {points[i].key for i in pareto_front([(point.cost, point.value) for point in points])}
    others = downsample([p for p in points if p.compared_index is None], {key for key in on_front if key})
    traces = [_marks("runs", others, cost, INK, 7, 0.55 if len(others) > 60 else 0.8)]
    for point in compared:
        hue = COMPARED[(point.compared_index or 0) % len(COMPARED)]
        traces.append(_marks(point.label, [point], cost, hue, 12, 1.0))
    return traces


def downsample(points: Sequence[Point], keep: set[str]) -> list[Point]:
    """Downsample to about `MAX_POINTS` points: the first in each grid cell is kept.

    Args:
        points: The points.
        keep: Keys of points that are always kept.
    """
    if len(points) <= MAX_POINTS:
        return list(points)
    across = [math.log(point.cost) for point in points]
    up = [point.value for point in points]
    spans = (min(across), max(across)), (min(up), max(up))
    by_cell: dict[tuple[int, int] | str, Point] = {}
    for x, point in zip(across, points, strict=True):
        cell = _cell(x, spans[0], CELLS[0]), _cell(point.value, spans[1], CELLS[1])
        by_cell.setdefault(point.key if point.key in keep else cell, point)
    return list(by_cell.values())


def _cell(value: float, span: tuple[float, float], cells: int) -> int:
    low, high = span
    return 0 if high == low else min(cells - 1, int((value - low) / (high - low) * cells))


def _marks(
    name: str, points: Sequence[Point], cost: Cost, colour: Color, size: int, opacity: float
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [point.cost for point in points],
        "y": [point.value for point in points],
        "customdata": [[p.key, p.label, cost_text(cost, p.cost), p.note] for p in points],
        "hovertemplate": "%{customdata[1]}<br>%{y:.2%}, %{customdata[2]}<br>%{customdata[3]}<extra></extra>",
        "marker": {"size": size, "color": colour, "opacity": opacity},
        "showlegend": False,
    }


def _published(points: Sequence[Point]) -> dict[str, Any]:
    named = len(points) <= NAMED
    return {
        "type": "scatter",
        "mode": "markers+text" if named else "markers",
        "name": "published",
        "x": [point.cost for point in points],
        "y": [point.value for point in points],
        "text": [point.label if named else "" for point in points],
        "textposition": [_label_position(point, points) for point in points],
        "textfont": {"size": 11},
        "cliponaxis": False,
        "customdata": [[point.key, point.label, "", point.note] for point in points],
        "hovertemplate": "%{customdata[1]}: %{y:.2%}<br>published: %{customdata[3]}<extra></extra>",
        "marker": {"size": 10, "symbol": "diamond-open", "color": INK, "line": {"width": 1.6}},
    }


def _label_position(point: Point, points: Sequence[Point]) -> str:
    """Return a label's position: below the point if a label above it would overlap another point."""
    logs, values = [math.log(p.cost) for p in points], [p.value for p in points]
    near_x = NEAR * (max(logs) - min(logs)) or 1.0
    near_y = NEAR * (max(values) - min(values)) or 1.0
    crowded = any(
        0 <= other.value - point.value < near_y and abs(math.log(other.cost / point.cost)) < near_x
        for other in points
        if other is not point
    )
    return "bottom center" if crowded else "top center"


def _front(points: Sequence[Point]) -> dict[str, Any]:
    """Return the front as a staircase: up to the next cost no better value is available."""
    best = [points[i] for i in pareto_front([(point.cost, point.value) for point in points])]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front: nothing is both cheaper and better",
        "x": [point.cost for point in best],
        "y": [point.value for point in best],
        "line": {"shape": "hv", "dash": "dot", "width": 1.5, "color": TEXT},
        "hoverinfo": "skip",
        "opacity": 0.6,
    }


def _shares(points: Sequence[Point]) -> list[float]:
    """Return the range of an axis of shares with margins; above 100 % only what half a marker takes."""
    values = [point.value for point in points] or [0.0, 1.0]
    low, high = min(values), max(values)
    margin = max(0.08 * (high - low), 0.02)
    return [max(-0.02, low - margin), min(1.02, high + margin)]


def _span(points: Sequence[Point], cost: Cost) -> dict[str, Any]:
    """Return the axis range with margins; a time axis has ticks at seconds, minutes, hours and days."""
    if not points:
        return {}
    low, high = min(p.cost for p in points) / SPREAD, max(p.cost for p in points) * SPREAD
    span: dict[str, Any] = {"range": [math.log10(low), math.log10(high)]}
    if cost == "time":
        marks = [second for second in CLOCK if low <= second <= high]
        return span | {"tickvals": marks, "ticktext": [numbers.duration(second) for second in marks]}
    # Explicit ticks: on a short logarithmic axis Plotly labels every step, with misaligned powers of ten.
    steps = (1,) if high / low > 300 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return span | {"tickformat": "~s", "tickvals": [tick for tick in ticks if low <= tick <= high]}
