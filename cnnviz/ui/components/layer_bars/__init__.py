"""Bars by layer that can be clicked, pointed at and walked with the arrow keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.figures.layer_bars import Bars
from cnnviz.ui.components.shared import read, says, styles

HERE = Path(__file__).parent
HEIGHT = 352
"""Pixels, kept free while the bars are drawn."""


def layer_bars_chart(bars: Bars, *, name: str, key: str, on_select: Callable[[str], None]) -> None:
    """Draw the bars; `on_select` is called, before the page runs again, with the name of a clicked layer.

    `name` is what a download of the picture is called.
    """
    _component()(
        key=key,
        data=bars.data() | {"name": name},
        height=HEIGHT,
        on_selected_change=says(key, "selected", on_select),
    )


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.layer_bars",
        html='<div class="host"></div>',
        css=styles(HERE, "bars.css"),
        js=read(HERE, "draw.js", "tip.js", "save.js", "bars.js"),
    )
