"""Drawings inside a line of text or a card: shown as they are, without controls of their own."""

from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent


def miniature(markup: str, *, key: str) -> None:
    """Show `markup`: HTML with SVG, made by cnnviz alone and not checked. `st.html` drops all SVG."""
    _component()(key=key, data=markup, height="content")


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.miniature",
        html='<div class="host"></div>',
        css=styles(HERE, "miniature.css"),
        js=read(HERE, "miniature.js"),
    )
