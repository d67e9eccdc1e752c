"""Models side by side: totals stacked by kind, and profiles over the depth, on shared scales."""

from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.figures.side_by_side import SideBySide
from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent


def side_by_side_chart(figure: SideBySide, *, name: str, key: str) -> None:
    """Draw the figure; `name` is what a download of the picture is called."""
    _component()(key=key, data=figure.data() | {"name": name})


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.side_by_side",
        html='<div class="host"></div>',
        css=styles(HERE, "panels.css"),
        js=read(HERE, "draw.js", "tip.js", "save.js", "panels.js"),
    )
