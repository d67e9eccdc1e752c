"""A data set that one visitor has prepared, in a thread of its own that draws nothing."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnviz.datasets import Step

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset, Progress

AT_ONCE = 2
"""Jobs of all visitors that work at a time; others wait for their turn."""
POLL = 0.25
"""Seconds between two looks of a waiting job at whether it was cancelled."""
AT_EXIT = 10.0
"""Seconds that the process waits at its end for jobs to stop and take away what they left half done."""

_TURNS = threading.BoundedSemaphore(AT_ONCE)
_AT_WORK: weakref.WeakSet[Job] = weakref.WeakSet()


class CancelledError(Exception):
    """The visitor cancelled the job."""


class Job:
    """Begins when it is made; how far it is can be read at any time, from any thread.

    Args:
        title: What is prepared, in sentences: a file's name or a data set's.
        work: Prepares it, calling back with its progress; that call ends it once the job is cancelled.
    """

    def __init__(self, title: str, work: Callable[[Progress], Dataset]) -> None:
        self.title = title
        self.waiting = True
        """Whether it has not had its turn yet."""
        self.step = Step(f"looking through {title}", 0, None)
        self.stage_began = time.monotonic()
        self.error: Exception | None = None
        """Why it ended without a data set, unless it was cancelled."""
        self.dataset: Dataset | None = None
        """What it prepared, once it is done."""
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), name="prepare", daemon=True)
        _AT_WORK.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it waits or works still."""
        return self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether it ended because it was cancelled; one that was done before is done."""
        ended = not self.running and self.dataset is None and self.error is None
        return ended and self._cancelled.is_set()

    @property
    def stopping(self) -> bool:
        """Whether it was cancelled and has not ended yet."""
        return self._cancelled.is_set() and self.running

    def cancel(self) -> None:
        """End it at its next step; nothing of what it made is kept."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is over, or not longer than this."""
        self._thread.join(seconds)

    def _run(self, work: Callable[[Progress], Dataset]) -> None:
        try:
            self._await_turn()
            try:
                self.dataset = work(self._report)
            finally:
                _TURNS.release()
        except CancelledError:
            pass
        except Exception as error:  # the thread's end is all that anybody would see of it
            self.error = error

    def _await_turn(self) -> None:
        while not _TURNS.acquire(timeout=POLL):
            self._check_cancelled()
        self.stage_began = time.monotonic()
        self.waiting = False

    def _report(self, step: Step) -> None:
        self._check_cancelled()
        if step.stage != self.step.stage:
            self.stage_began = time.monotonic()
        self.step = step

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError


@atexit.register
def _cancel_all() -> None:
    jobs = list(_AT_WORK)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(AT_EXIT)
