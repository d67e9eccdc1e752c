"""A curve in a ticking fragment, that grows at the press of a button, and a heatmap."""

from typing import Any

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from cnnviz.figures.plotly_theme import KIND_COLORS, PAPER, build_figure
from cnnviz.ui.components.plot import plot

POINTS = 20


def curve(points: int) -> Figure:
    """A line and a straight reference that a CSV leaves out."""
    x = np.arange(points, dtype=np.float64)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": "loss, test",
            "x": x,
            "y": (1 / (1 + x)).astype(np.float32),
            "customdata": np.stack([x, 2 * x], axis=1).astype(np.int16),
            "mode": "lines+markers",
            "line": {"color": KIND_COLORS["conv"]},
        },
        {"type": "scatter", "x": [0, points], "y": [0.5, 0.5], "mode": "lines", "hoverinfo": "skip"},
    ]
    layout = {"showlegend": False, "uirevision": "loss", "xaxis": {"title": {"text": "step"}}}
    return build_figure(data, layout)


@st.fragment(run_every=0.3)
def ticking() -> None:
    """The curve as a live page shows it."""
    points = st.session_state.setdefault("points", POINTS)
    if st.button("more points"):
        st.session_state.points = points = points + POINTS
    st.session_state.ticks = st.session_state.get("ticks", 0) + 1
    picked = plot(curve(points), key="curve", height=320, alt="A curve that falls", name="curve")
    st.text(f"points {points}, ticks {st.session_state.ticks}")
    st.text(f"picked {picked and (picked['curve'], picked['point'], picked['x'], picked['customdata'])}")


st.title("Figures")
ticking()
cells = {"z": np.array([[5, 1], [np.nan, 0.1]], np.float32), "x": ["cat", "dog"], "y": ["cat", "dog"]}
scale = [(0, PAPER), (1, KIND_COLORS["conv"])]
matrix = build_figure([{"type": "heatmap", "colorscale": scale, **cells}], {})
plot(matrix, key="matrix", height=260, alt="A matrix", name="matrix", picks=False)
