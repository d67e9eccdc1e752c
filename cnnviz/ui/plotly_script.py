"""Plotly's script, 4.8 MB, from an address of its own: a browser asks for it once and keeps it.

Inside a component's JavaScript it would be sent with the component, to every visit, over the socket.
"""

from __future__ import annotations

import gzip
from functools import cache

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
