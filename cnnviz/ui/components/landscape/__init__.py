"""All models as points that can be pointed at, walked with the arrow keys, and opened."""

from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent
HEIGHT = 560
"""Pixels, kept free while the points are drawn."""


def landscape_chart(data: dict[str, Any], *, alt: str, key: str) -> str | None:
    """Draw what `cnnviz.figures.landscape` made; the name of the model just clicked, else None."""
    shown = data | {"alt": alt, "height": HEIGHT}
    result = _component()(key=key, data=shown, height=HEIGHT, on_picked_change=lambda: None)
    picked: str | None = result.get("picked")
    return picked


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.landscape",
        html=read(HERE, "landscape.html"),
        css=styles(HERE, "landscape.css"),
        js=read(HERE, "draw.js", "tip.js", "save.js", "scale.js", "labels.js", "landscape.js"),
    )
