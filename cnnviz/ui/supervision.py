"""Supervises runs as long as the app lives, without being in the first page's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cnnviz.ui import preload

if TYPE_CHECKING:
    from cnnviz.training.supervisor import Supervisor

PATIENCE_SECONDS = 3.0
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
        preload.await_page(PATIENCE_SECONDS)
        from cnnviz.training.supervisor import LocalLauncher, Supervisor

        supervisor = Supervisor(launcher=LocalLauncher(may_warm=lambda: not preloading.is_alive()))
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
