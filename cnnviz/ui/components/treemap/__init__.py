"""Areas that can be clicked, pointed at and walked with the arrow keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.figures.treemap import Area
from cnnviz.ui.components.shared import read, says, styles

HERE = Path(__file__).parent
HEIGHT = 460
"""Pixels, kept free while the areas are drawn."""


def treemap_chart(
    tree: Area, *, selected: str | None, alt: str, name: str, key: str, on_select: Callable[[str], None]
) -> None:
    """Draw the tree; `on_select` is called, before the page runs again, with the name of a clicked layer.

    `alt` is the picture in words, `name` what a download of it is called.
    """
    _component()(
        key=key,
        data={
            "tree": tree.data(),
            "caption": f"Each area is a layer's share of {tree.value:,} parameters.",
            "selected": selected,
            "alt": alt,
            "name": name,
            "height": HEIGHT - 12,
        },
        height=HEIGHT,
        on_selected_change=says(key, "selected", on_select),
    )


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.treemap",
        html='<div class="host"></div>',
        css=styles(HERE, "treemap.css"),
        js=read(HERE, "draw.js", "tip.js", "save.js", "squarify.js", "treemap.js"),
    )
