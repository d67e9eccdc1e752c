"""Mounting the component, and what a click in it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent
SCRIPTS = ("layout.js", "beside.js", "legend.js", "tiles.js", "listen.js", "main.js")


def feature_mosaic(view: bytes, *, key: str, on_select: Callable[[int], None] | None = None) -> None:
    """Draw a view that `mosaic_packet` made.

    `on_select` is called, before the page runs again, with the channel that was clicked or walked to; as all
    that a browser sends it may be any whole number. Without it a choice stays in the browser.
    """

    def selected() -> None:
        channel = st.session_state[key].get("selected")
        if on_select is not None and isinstance(channel, int):
            on_select(channel)

    _component()(key=key, data=view, on_selected_change=selected)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.mosaic",
        html='<div class="host"></div>',
        css=styles(HERE, "mosaic.css"),
        js=read(
            HERE,
            "packet.js",
            "canvas.js",
            "layout.js",
            "beside.js",
            "legend.js",
            "tiles.js",
            "listen.js",
            "main.js",
        ),
    )
