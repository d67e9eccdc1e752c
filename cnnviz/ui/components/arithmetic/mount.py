"""Mounting the component, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent
SCRIPTS = (
    "work_windows.js",
    "work_values.js",
    "work_units.js",
    "ink.js",
    "rows.js",
    "sheet.js",
    "output.js",
    "main.js",
)


def layer_arithmetic(view: bytes, *, key: str, on_ask: Callable[[int, int, int], None] | None = None) -> None:
    """Draw a view that `arithmetic_packet` made; the pointer is followed in the browser.

    `on_ask(channel, y, x)` is called, before the page runs again, when another channel is chosen, or a cell
    of a layer too large to be worked out in the browser. What a browser sends may be any whole numbers.
    """

    def asked() -> None:
        where = st.session_state[key].get("asked")
        if on_ask is None or not isinstance(where, list) or len(where) != 3:
            return
        if all(isinstance(place, int) for place in where):
            on_ask(*where)

    _component()(key=key, data=view, on_asked_change=asked)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.arithmetic",
        html='<div class="host"></div>',
        css=styles(HERE, "arithmetic.css"),
        js=read(HERE, "packet.js", "canvas.js", *SCRIPTS),
    )
