"""Imports what is slow to import before a page asks for it, and without being in the first page's way."""

import importlib
import logging
import threading

from cnnviz import threads

FIRST = ("cnnviz.ui.chrome", "cnnviz.ui.start.lineage", "cnnviz.ui.start.landscape")
"""What the first page needs: imported while the visitor's browser still reads Streamlit's own scripts."""
LATER = ("pandas", "torch", "torchvision")
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


def _preload() -> None:
    threads.share()
    for module in FIRST:
        _import(module)
    await_page(PATIENCE_SECONDS)
    for module in LATER:
        _import(module)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception:  # what is broken is said by the page that needs it; the others work
        logging.getLogger(__name__).warning("Could not preload %s", module, exc_info=True)
