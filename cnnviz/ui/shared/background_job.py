"""Background job: work in a thread that draws nothing; a page shows its progress and can cancel it."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import streamlit as st

from cnnviz.access import Principal, acting, principal
from cnnviz.datasets.spec import Progress, Step
from cnnviz.ui.shared import url_state

Result = TypeVar("Result")

POLL = 0.25
"""Seconds between two checks of a waiting job for cancellation."""
TICK = 0.5
"""Seconds between two drawings of a job's progress."""
AT_EXIT = 10.0
"""Seconds to wait at process exit for each job to stop: one inside torch would crash the interpreter."""

_AT_WORK: weakref.WeakSet[BackgroundJob[Any]] = weakref.WeakSet()


class CancelledError(Exception):
    """Raised in the job's thread when it was canceled."""


class BackgroundJob(Generic[Result]):
    """Background job, which starts when it is created; its state can be read at any time from any thread.

    Args:
        work: The work; calling its progress callback raises `CancelledError` once the job is canceled.
        first: The step shown before the first report.
        name: Name of the thread.
        turns: Semaphore that limits concurrent jobs of a kind; None for no limit.
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
        """Whether it waits for the semaphore."""
        self.result: Result | None = None
        """The result, once it is done."""
        self.error: Exception | None = None
        """The exception that ended it, except cancellation."""
        self._turns = turns
        self._cancelled = threading.Event()
        # The job acts as the user who started it, who then owns what it stores.
        self._thread = threading.Thread(target=self._run, args=(work, principal()), name=name, daemon=True)
        _AT_WORK.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is waiting or working."""
        return self._thread.is_alive()

    @property
    def fraction(self) -> float:
        """Part of the step that is done, from 0 to 1; 0 where its length is unknown."""
        return min(1.0, self.step.done / self.step.total) if self.step.total else 0.0

    @property
    def stage_seconds(self) -> float:
        """Seconds since its stage began."""
        return time.monotonic() - self.stage_began

    @property
    def cancelled(self) -> bool:
        """Whether it ended by cancellation; False if it had finished before."""
        ended = not self.running and self.result is None and self.error is None
        return ended and self._cancelled.is_set()

    @property
    def stopping(self) -> bool:
        """Whether it was canceled but has not ended yet."""
        return self._cancelled.is_set() and self.running

    def cancel(self) -> None:
        """Cancel it: it ends at its next step, without a result."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it ends, at most `seconds`."""
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
        except Exception as error:  # stored, since nothing else handles exceptions of the thread
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


def redraw_until_ended(job: BackgroundJob[Any], draw: Callable[[], None]) -> None:
    """Call `draw` every half second until the job ends; then the page is drawn anew."""

    @st.fragment(run_every=TICK)
    def tick() -> None:
        url_state.restore()
        if not job.running:
            st.rerun()
        draw()

    tick()


@atexit.register
def _cancel_all() -> None:
    jobs = list(_AT_WORK)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(AT_EXIT)
