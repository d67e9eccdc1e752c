"""Mounting the component, and what a click on it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import orjson
import streamlit as st

from cnnviz.figures.sprite import Sprite
from cnnviz.ui.components.shared import read, sheet
from cnnviz.ui.plotly_script import script_url

HERE = Path(__file__).parent
CONTROLS = 24
"""Pixels above a figure for its controls."""


class Pick(TypedDict):
    """A point that was clicked: its trace, its place in it ([row, column] in a heatmap), and what it is."""

    curve: int
    point: int | list[int]
    x: Any
    y: Any
    z: Any
    customdata: Any


def plot(
    figure: Mapping[str, Any],
    *,
    key: str,
    height: int,
    alt: str,
    name: str = "figure",
    picks: bool = True,
    images: Sprite | None = None,
) -> Pick | None:
    """Draw a figure, or bring the one drawn under this key up to date without losing the zoom.

    The browser draws only when the figure differs from the one before. A double click shows all again; the
    data can be had as CSV, the picture as SVG or PNG.

    Args:
        figure: Plotly's JSON; numpy arrays are allowed, NaN is a gap.
        key: Unique on the page; the same one keeps the zoom.
        height: Pixels, controls included; kept free while the figure is drawn.
        alt: What is to be seen, in words.
        name: What downloads are called.
        picks: Whether a click on a point runs the script again.
        images: Pictures of points, shown at the pointer: a point's is the cell numbered `customdata[1]`.

    Returns:
        The point clicked last, None before the first click and where `picks` is false. It stays until another
        is clicked, also when the figure has changed meanwhile.
    """
    result = _component()(
        key=key,
        data={
            "figure": orjson.dumps(figure, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
            "plotly": script_url(),
            "key": key,
            "height": height - CONTROLS,
            "alt": alt,
            "name": name,
            "picks": picks,
            "images": None if images is None else sheet(images),
        },
        height=height,
        on_picked_change=lambda: None,
    )
    picked: Pick | None = result.get("picked")
    return picked if picks else None


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.plot",
        html='<div class="cnnviz-plot"></div>',
        css=read(HERE, "plot.css"),
        js=read(HERE, "load.js", "theme.js", "table.js", "controls.js", "hover.js", "plot.js"),
        # Plotly puts its styles into the page's head, where a shadow root would not see them.
        isolate_styles=False,
    )
