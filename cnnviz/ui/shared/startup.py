"""Startup of the app: preloading of slow imports, and the supervisor of runs."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cnnviz import threads
from cnnviz.ui.shared import memory, visitors

if TYPE_CHECKING:
    from cnnviz.training.workers import Supervisor


# Preloading: slow modules are imported before a page needs them, without delaying the first page.

FIRST = ("cnnviz.ui.shared.layout", "cnnviz.ui.pages.start.page")
"""Modules of the first page, imported while the browser still loads Streamlit's own scripts."""
LATER = ("pandas", "torch", "scipy.special", "plotly.graph_objects")
"""Modules that take seconds, mostly holding the GIL: imported once the first page is drawn."""
PATIENCE_SECONDS = 10.0
"""Maximum seconds to wait for the first page before importing `LATER`."""

_drawn = threading.Event()
_to_import: set[str] = set()
"""Modules that a page to come is likely to need, not yet being imported."""


def start() -> threading.Thread:
    """Start preloading in a thread, which calls nothing of Streamlit, and return the thread."""
    memory.limit_arenas()
    thread = threading.Thread(target=_preload, name="preload", daemon=True)
    thread.start()
    return thread


def page_drawn() -> None:
    """Signal that a page was drawn, so that preloading can continue.

    What pages have imported since is frozen too, in a thread, once it is much.
    """
    global _modules
    _drawn.set()
    memory.page_drawn()
    if _modules and _to_import:
        threading.Thread(target=_import_waiting, name="import", daemon=True).start()
    elif _modules and len(sys.modules) > _modules + MANY_MODULES:
        _modules = len(sys.modules)
        threading.Thread(target=_freeze, name="freeze", daemon=True).start()


def import_after_page(module: str) -> None:
    """Have a module, which a page to come is likely to need, imported once this page is drawn.

    For what takes too much memory to be there for everybody, and too long to be waited for.
    """
    if module not in sys.modules and not lean():
        _to_import.add(module)


def _import_waiting() -> None:
    while _to_import:
        with suppress(KeyError):  # another page's thread was faster
            _import(_to_import.pop())
    _freeze()


def await_page(seconds: float) -> None:
    """Wait at most `seconds` for the first page to be drawn."""
    _drawn.wait(seconds)


LEAN_VARIABLE = "CNNVIZ_LEAN"
"""Environment variable that saves memory: nothing is preloaded, and no worker is kept warm."""


def lean() -> bool:
    """Return whether memory takes precedence over speed."""
    return bool(os.environ.get(LEAN_VARIABLE))


def _preload() -> None:
    threads.set_passive_wait()
    for module in FIRST:
        _import(module)
    if lean():
        _freeze()
        return
    await_page(PATIENCE_SECONDS)
    for module in LATER:
        _import(module)
    # The first figure reads Plotly's schema, which takes as long as its import.
    from cnnviz.figures.plotly_theme import build_figure

    build_figure([{"type": "scatter"}], {})
    _freeze()


MANY_MODULES = 100
"""Modules imported since the last time whose objects are worth setting aside."""
_modules = 0
"""Number of modules whose objects are frozen; 0 before preloading has ended."""


def _freeze() -> None:
    """Leave what is imported out of garbage collections from now on."""
    global _modules
    memory.freeze()
    _modules = len(sys.modules)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception:  # reported by the page that needs the module; the others work
        logging.getLogger(__name__).warning("Could not preload %s", module, exc_info=True)


# The supervisor of runs, which lives as long as the app and does not delay the first page.

CHILD_VARIABLE = "CNNVIZ_CLASS_CHILD"
"""Environment variable of a class that another app has opened, see `cnnviz.access.class_process`."""
SUPERVISOR_PATIENCE_SECONDS = 3.0
"""Maximum seconds to wait for the first page: runs of an earlier app may have ended meanwhile."""


@contextmanager
def supervised(preloading: threading.Thread) -> Iterator[None]:
    """Supervise runs until the block ends; runs in progress continue.

    A class that another app has opened leaves this to that app, which has a worker warm already.

    Args:
        preloading: The preloading thread; a worker is warmed up, which takes processor time, once it has
            ended.
    """
    if os.environ.get(CHILD_VARIABLE):
        yield
        return
    begun: list[Supervisor] = []
    ended = threading.Event()

    def begin() -> None:
        await_page(SUPERVISOR_PATIENCE_SECONDS)
        from cnnviz.training.workers import LocalLauncher, Supervisor

        supervisor = Supervisor(
            launcher=LocalLauncher(may_warm=lambda: not lean() and not preloading.is_alive())
        )
        begun.append(supervisor)
        if not ended.is_set():
            supervisor.start()

    threading.Thread(target=begin, name="supervision", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        for supervisor in begun:
            supervisor.stop()


# A class: its app, and the app that opens it, see `cnnviz.access.class_process`.


@contextmanager
def class_tended() -> Iterator[None]:
    """In the app of a class, record it until the block ends; in any other, end the class opened from it."""
    from cnnviz.access import class_process
    from cnnviz.access.classroom import URL_VARIABLE

    opened_class = visitors.classroom()
    if opened_class is None:
        try:
            yield
        finally:
            class_process.end_child()
        return
    class_process.end_with_parent()
    with class_process.recorded(opened_class.path.parent, os.environ.get(URL_VARIABLE, "")):
        yield


# `cnnviz.show` endpoint: announces the app's address in its home, and a route that accepts tickets.


def _accept(request: Request) -> Response:
    """Register the network of a ticket, which only someone with write access to this home can create."""
    from cnnviz.models.external import loopback

    try:
        return JSONResponse({"model": loopback.accept(request.path_params["ticket"]).name})
    except ValueError as error:
        return PlainTextResponse(str(error), status_code=400)


SHOW_ROUTE = Route("/{base:path}cnnviz-show/{ticket}", _accept, methods=["POST"])
"""Route that app.py adds; `base` is the path that the app is served under."""


@contextmanager
def announced() -> Iterator[None]:
    """Announce the app's address in its home until the block ends; a class lets no other program in."""
    if visitors.classroom() is not None:
        yield
        return
    from cnnviz.models.external import loopback

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
