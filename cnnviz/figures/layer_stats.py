"""Heatmap of layer statistics over time: layers from top to bottom in network order, time to the right."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.plotly_theme import build_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

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
