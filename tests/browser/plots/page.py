"""A curve in a ticking fragment, that grows at the press of a button, and a heatmap."""

from typing import Any

import streamlit as st

from cnnviz.figures.palette import KIND_COLOURS
from cnnviz.ui.components.plot import plot

POINTS = 20


def curve(points: int) -> dict[str, Any]:
    """A line and a straight reference that a CSV leaves out."""
    x = list(range(points))
    colour = KIND_COLOURS["conv"].css
    return {
        "data": [
            {"type": "scatter", "name": "loss, test", "x": x, "y": [1 / (1 + i) for i in x],
             "mode": "lines+markers", "line": {"color": colour}},
            {"type": "scatter", "x": [0, points], "y": [0.5, 0.5], "mode": "lines", "hoverinfo": "skip"},
        ],
        "layout": {"showlegend": False, "uirevision": "loss", "xaxis": {"title": {"text": "step"}}},
    }  # fmt: skip


@st.fragment(run_every=0.3)
def ticking() -> None:
    """The curve as a live page shows it."""
    points = st.session_state.setdefault("points", POINTS)
    if st.button("more points"):
        st.session_state.points = points = points + POINTS
    st.session_state.ticks = st.session_state.get("ticks", 0) + 1
    picked = plot(curve(points), key="curve", height=320, alt="A curve that falls", name="curve")
    st.text(f"points {points}, ticks {st.session_state.ticks}")
    st.text(f"picked {picked and (picked['curve'], picked['point'], picked['x'])}")


st.title("Figures")
ticking()
cells = {"z": [[5, 1], [float("nan"), 7]], "x": ["cat", "dog"], "y": ["cat", "dog"]}
scale = [[0, "var(--st-background-color)"], [1, KIND_COLOURS["conv"].css]]
matrix = {"data": [{"type": "heatmap", "colorscale": scale, **cells}]}
plot(matrix, key="matrix", height=260, alt="A matrix", name="matrix", picks=False)
