"""Training over time as Plotly figures: curves in stacked panels, and layer statistics as a heatmap.

Panels share one axis; raw curves are drawn below smoothed ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.pareto import INK
from cnnviz.figures.plotly_theme import (
    COMPARED,
    TEST_DASH,
    TEXT,
    TRAIN_DASH,
    VALIDATION_DASH,
    Color,
    build_figure,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


# Smoothing.

Floats = NDArray[np.float64]


def smooth(x: Floats, y: Floats, share: float) -> Floats:
    """Smooth a curve with a centered moving average, applied twice so that near points weigh more.

    The window extends `share` of the x range to either side, and is truncated symmetrically at the ends. So
    the curve neither lags, as a trailing mean does, nor is biased at the ends; it ends on the last point.

    Args:
        x: Ascending, `(N,)`.
        y: `(N,)`; values that are not finite are excluded from the means and left unchanged.
        share: In [0, 0.5]; 0 returns a copy of `y`.

    Returns:
        The smoothed values `(N,)`.
    """
    real = np.isfinite(y)
    if share <= 0 or real.sum() < 3:
        return y.copy()
    x_finite, values = x[real], y[real]
    reach = np.minimum(
        share * (x_finite[-1] - x_finite[0]), np.minimum(x_finite - x_finite[0], x_finite[-1] - x_finite)
    )
    # Slightly wider, so that rounding does not drop a neighbor on one side only.
    first = np.searchsorted(x_finite, x_finite - reach * (1 + 1e-9), side="left")
    last = np.searchsorted(x_finite, x_finite + reach * (1 + 1e-9), side="right")
    for _ in range(2):
        values = _means(values, first, last)
    smoothed = y.copy()
    smoothed[real] = values
    return smoothed


def _means(values: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """Compute the means of `values[first:last]`, clipped to the values' range against rounding errors."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means = (sums[last] - sums[first]) / (last - first)
    return np.asarray(np.clip(means, values.min(), values.max()), np.float64)


Part = Literal["train", "validation", "test"]
DASHES: dict[Part, str] = {"train": TRAIN_DASH, "validation": VALIDATION_DASH, "test": TEST_DASH}
FEW = 60
"""Maximum number of points that get markers."""
FAINT = 0.3
GAP = 0.12
"""Gap between panels, as a fraction of the height."""


@dataclass(frozen=True)
class Line:
    """One curve: points with `x` ascending and NaN as a gap, the split it belongs to, and its color."""

    label: str
    x: Floats
    y: Floats
    part: Part = "train"
    colour: Color = COMPARED[0]


@dataclass(frozen=True)
class Reference:
    """Reference level, such as a published accuracy; `note` says what it is and what differs."""

    label: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """Curves on one vertical axis."""

    title: str
    lines: Sequence[Line]
    log: bool = False
    percent: bool = False
    references: Sequence[Reference] = ()


def curves(
    panels: Sequence[Panel],
    *,
    x_title: str,
    smoothing: float = 0.0,
    revision: str = "",
    log_x: bool = False,
    few: int = FEW,
    level_background: Color | None = None,
) -> Figure:
    """Build stacked panels, the first on top, that share the horizontal axis and its zoom.

    Args:
        panels: At least one.
        x_title: Title of the horizontal axis.
        smoothing: Half width of the smoothing window as a fraction of the x range (see `smooth`). If it is
            positive, a training curve is drawn twice: raw and faint, and smoothed.
        revision: A new value resets the user's zoom; titles and scales of the axes are part of it already.
        log_x: Whether the horizontal axis is logarithmic.
        few: Maximum number of points that get markers.
        level_background: Background of reference labels, where curves may cross them.
    """
    data: list[dict[str, Any]] = []
    axis = {"title": {"text": x_title}, "anchor": _axis("y", len(panels) - 1)}
    layout: dict[str, Any] = {
        "hovermode": "x unified",
        "xaxis": axis | _horizontal(panels, log_x=log_x),
        "shapes": [],
        "annotations": [],
    }
    named: set[str] = set()
    for index, panel in enumerate(panels):
        layout[_axis("yaxis", index)] = _vertical(panel, index, len(panels))
        if not panel.lines:  # or Plotly leaves out the axes, and they appear with the first point
            empty = {"type": "scatter", "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip"}
            data.append(empty | {"xaxis": "x", "yaxis": _axis("y", index)})
        for line in panel.lines:
            data += _traces(line, index, panel, smoothing, few, line.label not in named)
            named.add(line.label)
        for reference in panel.references:
            layout["shapes"].append(reference_shape(reference, _axis("y", index)))
            name = reference_annotation(reference, _axis("y", index), log=panel.log)
            layout["annotations"].append(name | {"bgcolor": level_background})
    scales = "".join("l" if panel.log else "-" for panel in panels)
    layout["uirevision"] = f"{x_title}|{log_x}|{scales}|{revision}"
    return build_figure(data, layout)


def curves_alt(panels: Sequence[Panel], x_title: str) -> str:
    """Describe the panels in words: the last value of each curve."""
    parts = []
    for panel in panels:
        once = len({line.label for line in panel.lines}) == len(panel.lines)
        last = [
            f"{line.label if once else f'{line.label}, {line.part}'} {_value(panel, line.y[-1])}"
            for line in panel.lines
            if len(line.y)
        ]
        parts.append(f"{panel.title}: {', '.join(last) or 'nothing yet'}")
    return f"Curves over {x_title}. Last values: {'; '.join(parts)}."


def _value(panel: Panel, value: float) -> str:
    return f"{100 * value:.2f} %" if panel.percent else f"{value:.4g}"


def _axis(name: str, index: int) -> str:
    return name if index == 0 else f"{name}{index + 1}"


def _horizontal(panels: Sequence[Panel], *, log_x: bool) -> dict[str, Any]:
    if not any(map(_has_points, panels)):
        return {"range": [0, 1], "showticklabels": False}
    return {"type": "log"} if log_x else {}


def _vertical(panel: Panel, index: int, count: int) -> dict[str, Any]:
    height = (1 - GAP * (count - 1)) / count
    top = 1 - index * (height + GAP)
    axis: dict[str, Any] = {"title": {"text": panel.title}, "domain": [max(0.0, top - height), top]}
    if panel.percent:
        axis |= {"tickformat": ".3~p"} if panel.log else {"tickformat": "~%", "rangemode": "nonnegative"}
    elif not panel.log:
        axis["tickformat"] = "~g"
    if not _has_points(panel) and not panel.log:  # Plotly would show -100 to 400 %
        return axis | {"range": [0, 1], "showticklabels": panel.percent}
    return axis | (_logarithmic(panel) if panel.log else {})


def _has_points(panel: Panel) -> bool:
    return any(np.isfinite(line.y).any() for line in panel.lines)


def _logarithmic(panel: Panel) -> dict[str, Any]:
    return {"type": "log", "dtick": "D1" if panel.percent else None, "exponentformat": "power"}


def _traces(
    line: Line, index: int, panel: Panel, smoothing: float, few: int, first: bool
) -> list[dict[str, Any]]:
    """Return a curve's traces: the raw one, and the smoothed one above it. Hovering shows raw values."""
    doubled = smoothing > 0 and line.part == "train" and len(line.y) > FEW
    stroke = {"color": line.colour, "dash": DASHES[line.part], "width": 1.2 if doubled else 1.8}
    raw = {
        "type": "scatter",
        "name": line.label,
        "x": line.x,
        "y": line.y.astype(np.float32),
        "xaxis": "x",
        "yaxis": _axis("y", index),
        "mode": "lines+markers" if len(line.y) <= few else "lines",
        "marker": {"size": 5, "color": line.colour},
        "line": stroke,
        "legendgroup": line.label,
        "showlegend": first and not doubled,
        "hovertemplate": "%{y:.2%}" if panel.percent else "%{y:.4g}",
    }
    if not doubled:
        return [raw]
    through = raw | {
        "y": smooth(line.x, line.y, smoothing).astype(np.float32),
        "line": stroke | {"width": 2.2},
        "hoverinfo": "skip",
        "showlegend": first,
    }
    del through["hovertemplate"]
    return [raw | {"opacity": FAINT}, through]


def reference_shape(reference: Reference, axis: str = "y") -> dict[str, Any]:
    """Return the line of a reference as a Plotly shape."""
    return {
        "type": "line", "xref": "x domain", "yref": axis, "x0": 0, "x1": 1, "y0": reference.value,
        "y1": reference.value, "line": {"color": TEXT, "width": 1, "dash": "dot"},
        "opacity": 0.6,
    }  # fmt: skip


def reference_annotation(reference: Reference, axis: str = "y", *, log: bool) -> dict[str, Any]:
    """Return the label of a reference as a Plotly annotation."""
    # An annotation on a logarithmic axis is placed by the logarithm, a shape by the value.
    height = float(np.log10(reference.value)) if log else reference.value
    return {
        "xref": "x domain", "yref": axis, "x": 1, "y": height, "xanchor": "right",
        "yanchor": "bottom", "showarrow": False, "text": reference.label, "hovertext": reference.note,
        "font": {"size": 11},
    }  # fmt: skip


# Losses of auxiliary classifiers.

AUXILIARY_LOSSES: dict[str, tuple[str, Color]] = {
    "train/aux1_loss": ("auxiliary 1", COMPARED[1]),
    "train/aux2_loss": ("auxiliary 2", COMPARED[2]),
}
"""Title and color of each auxiliary classifier's curve, by metric."""


def auxiliary_lines(find: Callable[[str], tuple[Floats, Floats] | None]) -> list[Line]:
    """Return a curve for each auxiliary classifier whose metric has points.

    Args:
        find: Returns x and y of a metric, or None.
    """
    candidates = ((title, hue, find(metric)) for metric, (title, hue) in AUXILIARY_LOSSES.items())
    return [Line(title, *points, "train", hue) for title, hue, points in candidates if points is not None]


# Learning-rate range test.

ABOVE = 1.6
"""Upper end of the loss axis as a multiple of the first loss, since a diverging loss would flatten the rest.
"""


def range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None
) -> Figure:
    """Plot each step's loss as a point and the smoothed loss as a line, over the learning rate (logarithmic).

    Args:
        rates: Learning rates, ascending.
        losses: Loss of each step's batch, in nats.
        smoothed: Exponential moving average of `losses`.
        suggestion: The suggested rate, which is marked, or None.
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
    """Describe the range test in words."""
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    marked = f"; suggested is {suggestion:g}" if suggestion is not None else "; no rate is suggested"
    return (
        f"Training loss against learning rate from {rates[0]:.2g} to {rates[-1]:.2g}: it begins at "
        f"{smoothed[0]:.2f} and is lowest, {smoothed[lowest]:.2f}, at {rates[lowest]:.2g}{marked}."
    )


# Heatmap of layer statistics over time: layers from top to bottom in network order, time to the right.

Statistic = Literal["zeros", "dead", "gradient", "update", "spread"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)


@dataclass(frozen=True)
class StatisticInfo:
    """Display of a layer statistic: its title, how to read it, and whether its color scale is logarithmic."""

    title: str
    meaning: str
    log: bool


STATISTIC_INFO: dict[Statistic, StatisticInfo] = {
    "zeros": StatisticInfo(
        "sparsity", "Part of a layer's outputs that are exactly 0. After a ReLU about half is usual.", False
    ),
    "dead": StatisticInfo(
        "dead units", "Part of the channels that are 0 for a whole batch: they learn nothing.", False
    ),
    "gradient": StatisticInfo(
        "gradient", "Norm of the weights' gradient. Ever smaller towards the input: it vanishes.", True
    ),
    "update": StatisticInfo(
        "update-to-weight ratio", "How far a step moves the weights. About 0.001 is usual; 0.1 is wild.", True
    ),
    "spread": StatisticInfo(
        "activation std",
        "Standard deviation of a layer's outputs. It should neither die out nor explode.",
        True,
    ),
}


def layer_heatmap(
    records: Sequence[tuple[float, Sequence[Mapping[str, Any]]]],
    statistic: Statistic,
    x_title: str,
    frozen: Collection[str] = (),
) -> Figure:
    """Build the heatmap of one statistic.

    Args:
        records: `(x position, layers as asdict(LayerStats))`, in order of time.
        statistic: Key of the statistic; layers that never have it are left out.
        x_title: Title of the horizontal axis.
        frozen: Names of layers whose weights are frozen; their labels say so.
    """
    names, values = _table(records, statistic)
    names = [f"{name} (frozen)" if name in frozen else name for name in names]
    log = STATISTIC_INFO[statistic].log
    with np.errstate(divide="ignore"):
        shown = np.log10(values) if log else values
    shown = np.where(np.isfinite(shown), shown, np.nan)
    bar: dict[str, Any] = {"outlinewidth": 0, "thickness": 10, "tickformat": "~%"}
    if log:
        ticks = _powers(shown)
        bar |= {"tickformat": "", "tickvals": ticks, "ticktext": [f"{10.0**tick:g}" for tick in ticks]}
    trace = {
        "type": "heatmap", "name": STATISTIC_INFO[statistic].title, "x": [x for x, _ in records], "y": names,
        "z": shown.astype(np.float32), "customdata": values.astype(np.float32), "colorscale": "Viridis",
        "colorbar": bar, "hoverongaps": False,
        "hovertemplate": f"%{{y}}, {x_title} %{{x:.4~g}}: %{{customdata:.3~g}}<extra></extra>",
        **({} if log else {"zmin": 0, "zmax": 1}),
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": x_title}, "showgrid": False},
        "yaxis": {"autorange": "reversed", "type": "category", "showgrid": False},
        "uirevision": f"{x_title}|{statistic}",
    }
    return build_figure([trace], layout)


def layer_heatmap_alt(
    records: Sequence[tuple[float, Sequence[Mapping[str, Any]]]], statistic: Statistic
) -> str:
    """Describe the newest column in words: the layers with the highest and the lowest value."""
    names, values = _table(records, statistic)
    last = values[:, -1] if values.size else np.array([])
    if not np.isfinite(last).any():
        return f"No {STATISTIC_INFO[statistic].title} of layers yet."
    high, low = int(np.nanargmax(last)), int(np.nanargmin(last))
    return (
        f"{STATISTIC_INFO[statistic].title.capitalize()} of {len(names)} layers over time. Now highest in "
        f"{names[high]} ({last[high]:.3g}), lowest in {names[low]} ({last[low]:.3g})."
    )


def _table(
    records: Sequence[tuple[float, Sequence[Mapping[str, Any]]]], statistic: Statistic
) -> tuple[list[str], NDArray[np.float64]]:
    """Return layer names and their values `(layers, times)`, NaN where there is none."""
    by_name = [{layer["name"]: layer.get(statistic) for layer in layers} for _, layers in records]
    names = (
        [name for name in by_name[-1] if any(values_at.get(name) is not None for values_at in by_name)]
        if by_name
        else []
    )
    rows = [
        [np.nan if (value := values_at.get(name)) is None else value for values_at in by_name]
        for name in names
    ]
    return names, np.array(rows, np.float64).reshape(len(names), len(by_name))


def _powers(logarithms: NDArray[np.float64]) -> list[int]:
    if not np.isfinite(logarithms).any():
        return []
    low, high = int(np.floor(np.nanmin(logarithms))), int(np.ceil(np.nanmax(logarithms)))
    return list(range(low, high + 1, max(1, (high - low) // 5)))
