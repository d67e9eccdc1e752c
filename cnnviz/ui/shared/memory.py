"""Memory that the app's process holds without need: arenas of the C library, objects outside collections.

Each page runs in a thread of its own, and glibc gives threads up to eight arenas a processor core. What a
page frees stays in the arena of its thread, where the next page, in another, does not find it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ARENAS = 2
"""Arenas of the C library's heap for all threads, where there are not more already."""
_M_ARENA_MAX = -8
"""Number of the parameter in glibc's malloc.h."""
_NO_GLIBC = (OSError, AttributeError, TypeError)
"""What a call raises where the C library is another one, which manages its memory in another way."""
IDLE_SECONDS = (3.0, 30.0, 150.0)
"""Seconds after a page is drawn, if no other is meanwhile, at which freed memory is returned to the system.

Work that a page has begun may end later than the page. Streamlit keeps the session of someone who has left
for two minutes.
"""

_drawn = threading.Event()
_lock = threading.Lock()


def limit_arenas() -> None:
    """Let new threads share the arenas that there are, unless glibc's own variable says how many.

    Arenas that exist stay: Streamlit's threads have made some four before it runs the first line of the app.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(*_NO_GLIBC):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def trim_heap() -> None:
    """Return the pages of freed memory to the system; takes milliseconds and does not hold the GIL."""
    with suppress(*_NO_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)


def freeze() -> None:
    """Freeze all objects: leave them out of garbage collections from now on.

    Streamlit collects after every script run, which would go through all objects of torch and the others each
    time: a third of what a click costs. What sessions leave in reference cycles is kept too, until
    `collect_frozen`.
    """
    with _lock:
        gc.collect()
        gc.freeze()


def collect_frozen() -> None:
    """Collect garbage among frozen objects too, and freeze what is left.

    It holds the GIL for some tenths of a second. Does nothing where nothing is frozen.
    """
    with _lock:
        if gc.get_freeze_count():
            gc.unfreeze()
            gc.collect()
            gc.freeze()


def page_drawn() -> None:
    """Signal that a page was drawn."""
    _drawn.set()


@contextmanager
def trim_when_idle() -> Iterator[None]:
    """Return freed memory whenever no page has been drawn for a while, until the block ends."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            _drawn.wait()
            _drawn.clear()
            if not ended.is_set():
                _follow_page(ended)

    thread = threading.Thread(target=work, name="freed memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        _drawn.set()
        thread.join()


def _follow_page(ended: threading.Event) -> None:
    """Return freed memory at each of `IDLE_SECONDS`, until another page is drawn or the app ends."""
    waited = 0.0
    for seconds in IDLE_SECONDS:
        if _drawn.wait(seconds - waited) or ended.is_set():
            return
        waited = seconds
        if seconds == IDLE_SECONDS[-1]:
            collect_frozen()
        trim_heap()
