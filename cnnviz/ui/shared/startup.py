"""What the app starts with: slow imports ahead of time, and the supervisor of runs."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cnnviz import threads

if TYPE_CHECKING:
    from cnnviz.training.workers import Supervisor

# Imports what is slow to import before a page asks for it, and without being in the first page's way.

FIRST = ("cnnviz.ui.shared.layout", "cnnviz.ui.pages.start.hero", "cnnviz.ui.pages.start.paths")
"""What the first page needs: imported while the visitor's browser still reads Streamlit's own scripts."""
LATER = ("pandas", "torch", "torchvision", "scipy.stats", "plotly.graph_objects")
"""Seconds of work, most of it holding the interpreter's lock: begun once a first page is drawn."""
PATIENCE_SECONDS = 10.0
"""How long to wait for a first visitor before going on without one."""

_drawn = threading.Event()


def start() -> threading.Thread:
    """Begin to import in a thread of its own, which calls nothing of Streamlit, and return that thread."""
    thread = threading.Thread(target=_preload, name="preload", daemon=True)
    thread.start()
    return thread


def page_drawn() -> None:
    """Say that a page has been drawn, so that what it did not need can be imported now."""
    _drawn.set()


def await_page(seconds: float) -> None:
    """Wait for the first page to be drawn, and not longer than this."""
    _drawn.wait(seconds)


LEAN_VARIABLE = "CNNVIZ_LEAN"
"""Set where memory is short: nothing is imported ahead of time, and no worker made ready."""


def lean() -> bool:
    """Whether memory comes before speed."""
    return bool(os.environ.get(LEAN_VARIABLE))


def _preload() -> None:
    threads.share()
    for module in FIRST:
        _import(module)
    if lean():
        return
    await_page(PATIENCE_SECONDS)
    for module in LATER:
        _import(module)
    # The first figure reads Plotly's schema, which takes as long as its import.
    from cnnviz.figures.plotly_theme import build_figure

    build_figure([{"type": "scatter"}], {})


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception:  # what is broken is said by the page that needs it; the others work
        logging.getLogger(__name__).warning("Could not preload %s", module, exc_info=True)


# Supervises runs as long as the app lives, without being in the first page's way.

SUPERVISOR_PATIENCE_SECONDS = 3.0
"""How long a first visitor may keep it waiting: runs of an earlier app may have ended meanwhile."""


@contextmanager
def supervised(preloading: threading.Thread) -> Iterator[None]:
    """Supervise until the block ends; runs that train then go on.

    Args:
        preloading: Once this thread has ended a worker may make itself ready too, which takes processor time.
    """
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
