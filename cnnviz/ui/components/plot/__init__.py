"""The one way a Plotly figure is shown: it follows the theme and keeps the user's zoom while points arrive.

    picked = plot(figure, key="curves", height=360, alt="Loss of run 7 over 12 epochs", name="run-7-loss")

A figure is a `plotly.graph_objects.Figure` of `cnnviz.figures`, which goes to the browser as
`figure.to_plotly_json()`; there the template and the colours of the page's theme are set. Where new data
belongs to other axes (loss instead of accuracy, log instead of linear), `layout.uirevision` says so by
another value, and the zoom starts afresh.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, get_args

import orjson
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cnnviz.figures.plotly_theme import Theme, template
from cnnviz.figures.sprite_sheet import Sprite
from cnnviz.ui.components.shared import read, sheet

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Pick", "plot"]

# Plotly's script, 4.8 MB, from an address of its own: a browser asks for it once and keeps it.
#
# Inside a component's JavaScript it would be sent with the component, to every visit, over the socket.

FOREVER = "public, max-age=31536000, immutable"
"""The version is in the address, so what is there never changes."""


def script_url() -> str:
    """The script's address on this server, which names its version."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"{f'/{base}' if base else ''}/plotly-{_version()}.js"


def _serve(request: Request) -> Response:
    """Answer with the script, compressed if the browser takes that; 404 for another version."""
    if request.path_params["version"] != _version():
        return Response(status_code=404)
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(_packed() if packed else _script(), media_type="text/javascript", headers=headers)


ROUTE = Route("/{base:path}plotly-{version}.js", _serve)
"""What app.py adds to the app; `base` is whatever path the app is served under."""


@cache
def _version() -> str:
    from plotly.offline import get_plotlyjs_version

    return str(get_plotlyjs_version())


def _script() -> bytes:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).encode()


@cache
def _packed() -> bytes:
    return gzip.compress(_script())


# Mounting the component, and what a click on it says.

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
    figure: Figure,
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
        figure: Of `cnnviz.figures`; NaN is a gap.
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
            "figure": figure_json(figure),
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


def figure_json(figure: Figure) -> str:
    """Return a figure as JSON, without its template: the browser has those of both themes."""
    content = figure.to_plotly_json()
    content["layout"].pop("template", None)
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode()


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    templates = json.dumps({theme: template(theme) for theme in get_args(Theme)})
    return st.components.v2.component(
        "cnnviz.plot",
        html='<div class="cnnviz-plot"></div>',
        css=read(HERE, "plot.css", "figure_menu.css", "touch.css"),
        js=f"const TEMPLATES = {templates};\n"
        + read(
            HERE,
            "load.js",
            "arrays.js",
            "theme.js",
            "table.js",
            "controls.js",
            "figure_menu.js",
            "hover.js",
            "plot.js",
        ),
        # Plotly puts its styles into the page's head, where a shadow root would not see them.
        isolate_styles=False,
    )
