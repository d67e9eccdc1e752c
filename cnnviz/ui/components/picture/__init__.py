"""A drawn picture: SVG that follows the page's theme and can be saved, where `st.html` takes SVG out."""

from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, styles

HERE = Path(__file__).parent


def picture(svg: str, *, name: str, key: str, height: int) -> None:
    """Show `svg`, drawn by cnnviz.figures, `height` pixels high; a download of it is called `name`."""
    _component()(key=key, data={"svg": svg, "name": name}, height=height)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.picture",
        html='<div class="host"></div>',
        css=styles(HERE, "picture.css"),
        js=read(HERE, "save.js", "picture.js"),
    )
