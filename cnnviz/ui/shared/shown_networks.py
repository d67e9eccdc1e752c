"""Where `cnnviz.show` reaches the app: the app's address in its home, and the route that takes a ticket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


def _accept(request: Request) -> Response:
    """List the network behind a ticket that somebody who can write to this home has written."""
    from cnnviz.models.outside import loopback

    try:
        return JSONResponse({"model": loopback.accept(request.path_params["ticket"]).name})
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=400)


ROUTE = Route("/{base:path}cnnviz-show/{ticket}", _accept, methods=["POST"])
"""What app.py adds to the app; `base` is whatever path the app is served under."""


@contextmanager
def announced() -> Iterator[None]:
    """Note the app's address in its home until the block ends."""
    from cnnviz.models.outside import loopback

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    url = f"http://localhost:{st.get_option('server.port')}"
    note = None
    with suppress(OSError):  # A home that cannot be written is said by the pages.
        note = loopback.announce(f"{url}/{base}" if base else url)
    try:
        yield
    finally:
        if note is not None:
            with suppress(OSError):
                note.unlink(missing_ok=True)
