"""Background job: work in a thread of its own that draws nothing, watched and cancelled from a page."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from cnnviz.access import Principal, acting, principal
from cnnviz.datasets.spec import Progress, Step

Result = TypeVar("Result")

POLL = 0.25
"""Seconds between two looks of a waiting job at whether it was cancelled."""
AT_EXIT = 10.0
"""Seconds that the process waits at its end for jobs to stop: one inside torch would crash it."""

_AT_WORK: weakref.WeakSet[BackgroundJob[Any]] = weakref.WeakSet()


class CancelledError(Exception):
    """Somebody cancelled the job."""


class BackgroundJob(Generic[Result]):
    """Begins when it is made; how far it is can be read at any time, from any thread.

    Args:
        work: Does it, calling back with its progress; that call ends it once the job is cancelled.
        first: What it is at before it reports for the first time.
        name: The thread's name.
        turns: How many of a kind work at a time; the others wait. None for any number.
    """

    def __init__(
        self,
        work: Callable[[Progress], Result],
        first: Step,
        name: str,
        turns: threading.Semaphore | None = None,
    ) -> None:
        self.step = first
        self.stage_began = time.monotonic()
        self.waiting = turns is not None
        """Whether it has not had its turn yet."""
        self.result: Result | None = None
        """What it made, once it is done."""
        self.error: Exception | None = None
        """Why it ended without a result, unless it was cancelled."""
        self._turns = turns
        self._cancelled = threading.Event()
        # It works for whoever began it: what it stores is theirs.
        self._thread = threading.Thread(target=self._run, args=(work, principal()), name=name, daemon=True)
        _AT_WORK.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it waits or works still."""
        return self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether it ended because it was cancelled; one that was done before is done."""
        ended = not self.running and self.result is None and self.error is None
        return ended and self._cancelled.is_set()

    @property
    def stopping(self) -> bool:
        """Whether it was cancelled and has not ended yet."""
        return self._cancelled.is_set() and self.running

    def cancel(self) -> None:
        """End it at its next step; it has no result then."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is over, or not longer than this."""
        self._thread.join(seconds)

    def _run(self, work: Callable[[Progress], Result], beginner: Principal) -> None:
        try:
            self._await_turn()
            try:
                with acting(beginner):
                    self.result = work(self._report)
            finally:
                if self._turns is not None:
                    self._turns.release()
        except CancelledError:
            pass
        except Exception as error:  # the thread's end is all that anybody would see of it
            self.error = error

    def _await_turn(self) -> None:
        while self._turns is not None and not self._turns.acquire(timeout=POLL):
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
