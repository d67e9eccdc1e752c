"""Plotly component: draws figures in the page's theme and keeps the user's zoom while points arrive.

    picked = plot(figure, key="curves", height=360, alt="Loss of run 7 over 12 epochs", name="run-7-loss")

A figure is a `plotly.graph_objects.Figure` of `cnnviz.figures`, which is sent to the browser as
`figure.to_plotly_json()`; there the template and the colors of the page's theme are applied. If new data has
other axes (loss instead of accuracy, log instead of linear), a new `layout.uirevision` resets the zoom.
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
from cnnviz.ui.components import read, register
from cnnviz.ui.components.images import Sprite, sheet

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Pick", "figure_json", "plot"]

# Plotly's script, 4.8 MB, is served under its own URL: a browser requests it once and caches it.
#
# As part of the component's JavaScript it would be sent over the WebSocket at every visit.

FOREVER = "public, max-age=31536000, immutable"
"""Cache header: the version is in the URL, so the content never changes."""


def script_url() -> str:
    """Return the script's URL on this server, which contains its version."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"{f'/{base}' if base else ''}/plotly-{_version()}.js"


def _serve(request: Request) -> Response:
    """Serve the script, compressed if the browser accepts that; 404 for another version."""
    if request.path_params["version"] != _version():
        return Response(status_code=404)
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(_packed() if packed else _script(), media_type="text/javascript", headers=headers)


ROUTE = Route("/{base:path}plotly-{version}.js", _serve)
"""Route that app.py adds; `base` is the path that the app is served under."""


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


# Mounting the component, and its clicks.

HERE = Path(__file__).parent
CONTROLS = 24
"""Pixels above a figure for its controls."""


class Pick(TypedDict):
    """A clicked point: trace number, index in the trace ([row, column] in a heatmap), and its data."""

    curve: int
    point: int | list[int]
    x: Any
    y: Any
    z: Any
    customdata: Any


def plot(
    figure: Figure | str,
    *,
    key: str,
    height: int,
    alt: str,
    name: str = "figure",
    picks: bool = True,
    images: Sprite | None = None,
) -> Pick | None:
    """Draw a figure, or update the one with the same key without losing the zoom.

    The browser redraws only if the figure changed. A double click resets the zoom; the data can be downloaded
    as CSV, the figure as SVG or PNG.

    Args:
        figure: A figure of `cnnviz.figures`, or its `figure_json`; NaN is a gap.
        key: Key of the component; the same key keeps the zoom.
        height: Height in pixels, controls included; reserved while the figure is drawn.
        alt: Alternative text.
        name: File name of downloads.
        picks: Whether a click on a point reruns the script.
        images: Images shown on hover: a point's is the cell with the number `customdata[1]`.

    Returns:
        The point clicked last, None before the first click and if `picks` is false. It remains until another
        is clicked, also when the figure has changed meanwhile.
    """
    result = _component()(
        key=key,
        data={
            "figure": figure if isinstance(figure, str) else figure_json(figure),
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
    """Return a figure as JSON without its template, since the browser has those of both themes."""
    content = figure.to_plotly_json()
    content["layout"].pop("template", None)
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode()


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    templates = json.dumps({theme: template(theme) for theme in get_args(Theme)})
    return register(
        "plot",
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
        # Plotly adds its styles to the page's head, which do not apply inside a shadow root.
        isolate_styles=False,
    )
