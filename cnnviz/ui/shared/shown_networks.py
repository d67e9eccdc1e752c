"""`cnnviz.show` endpoint: announces the app's address in its home, and a route that accepts tickets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


def _accept(request: Request) -> Response:
    """Register the network of a ticket, which only someone with write access to this home can create."""
    from cnnviz.models.outside import loopback

    try:
        return JSONResponse({"model": loopback.accept(request.path_params["ticket"]).name})
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=400)


ROUTE = Route("/{base:path}cnnviz-show/{ticket}", _accept, methods=["POST"])
"""Route that app.py adds; `base` is the path that the app is served under."""


@contextmanager
def announced() -> Iterator[None]:
    """Announce the app's address in its home until the block ends."""
    from cnnviz.models.outside import loopback

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    url = f"http://localhost:{st.get_option('server.port')}"
    note = None
    with suppress(OSError):  # pages report a home that cannot be written
        note = loopback.announce(f"{url}/{base}" if base else url)
    try:
        yield
    finally:
        if note is not None:
            with suppress(OSError):
                note.unlink(missing_ok=True)
