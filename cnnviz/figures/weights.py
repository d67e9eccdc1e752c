"""How a layer's weights are spread, for one network or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.figures.palette import COMPARED

if TYPE_CHECKING:
    from cnnviz.interpret.filters import Histogram


def weight_histogram(drawn: Sequence[tuple[str, Histogram]]) -> dict[str, Any]:
    """Plotly's JSON: a stepped line a network, by name; shares, so that networks of other sizes compare."""
    return {
        "data": [
            {
                "type": "scatter",
                "name": name,
                "x": ((found.edges[:-1] + found.edges[1:]) / 2).tolist(),
                "y": (found.counts / max(1, int(found.counts.sum()))).tolist(),
                "mode": "lines",
                "line": {"shape": "hvh", "color": COMPARED[place].css, "width": 1.6},
                "fill": "tozeroy" if len(drawn) == 1 else "none",
            }
            for place, (name, found) in enumerate(drawn)
        ],
        "layout": {
            "xaxis": {"title": {"text": "weight"}},
            "yaxis": {"title": {"text": "share of the weights"}, "tickformat": ".0%", "rangemode": "tozero"},
            "showlegend": len(drawn) > 1,
        },
    }
