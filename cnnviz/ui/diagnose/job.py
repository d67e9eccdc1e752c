"""Probes of one run, in a thread of their own that draws nothing."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnviz.datasets import Step

if TYPE_CHECKING:
    from cnnviz.tracking import Database

AT_EXIT = 10.0
"""Seconds that the process waits at its end for jobs to stop: one inside torch would crash it."""


class _StoppedError(Exception):
    """Somebody stopped it."""


_AT_WORK: weakref.WeakSet[Job] = weakref.WeakSet()


class Job:
    """Begins when it is made; how far it is can be read at any time, from any thread."""

    def __init__(self, database: Database, run_id: int, stamp: Any) -> None:
        self.run_id, self.stamp = run_id, stamp
        self.began = time.monotonic()
        self.step = Step("beginning", 0, None, "")
        self.found: Mapping[str, Any] = {}
        self.failed = ""
        """Why it ended without a result, in a sentence."""
        self._database = database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="probes", daemon=True)
        _AT_WORK.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is at work still."""
        return self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End it after the probe it is at."""
        self._stopped.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is over, or not longer than this."""
        self._thread.join(seconds)

    def _work(self) -> None:
        from cnnviz.diagnosis.probing import probe

        try:
            self.found = probe(self._database, self.run_id, progress=self._tell).probes
        except _StoppedError:
            pass
        except Exception as error:  # the thread's end is all that anybody would see of it
            self.failed = str(error) or type(error).__name__

    def _tell(self, step: Step) -> None:
        if self.stopped:
            raise _StoppedError
        self.step = step


@atexit.register
def _stop_all() -> None:
    jobs = list(_AT_WORK)
    for job in jobs:
        job.stop()
    for job in jobs:
        job.wait(AT_EXIT)
