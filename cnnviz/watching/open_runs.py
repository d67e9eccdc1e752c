"""Registry of this process's open runs: ended at exit, or as failed by an uncaught exception.

In a notebook an uncaught exception ends a cell, and the open runs with it.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from contextlib import suppress
from typing import Any, Protocol


class OpenRun(Protocol):
    """Interface of a run that can be ended: `cnnviz.watching.run.WatchedRun`."""

    def fail(self, error: BaseException) -> None:
        """End it as failed, with the exception's message."""

    def finish(self) -> object:
        """End it as finished."""


open_runs: weakref.WeakSet[OpenRun] = weakref.WeakSet()
_references: set[OpenRun] = set()
_installed = False


def register(run: OpenRun) -> None:
    """End the run with the process, unless it ends earlier."""
    global _installed
    open_runs.add(run)
    _references.add(run)  # a strong reference: a run without a variable still records its loop
    if _installed:
        return
    _installed = True
    atexit.register(_finish_all)
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        for run in list(open_runs):
            with suppress(Exception):
                run.fail(error)
        previous(kind, error, trace)

    sys.excepthook = hook
    _in_notebook()


def _in_notebook() -> None:
    """Register an IPython hook: in a notebook an exception ends a cell and not the process."""
    shell = sys.modules.get("IPython")
    active = shell.get_ipython() if shell is not None else None
    if active is None:
        return

    def ended(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if error is not None:
            for run in list(open_runs):
                run.fail(error)

    active.events.register("post_run_cell", ended)


def unregister(run: OpenRun) -> None:
    """Remove a run that has ended."""
    open_runs.discard(run)
    _references.discard(run)


def _finish_all() -> None:
    for run in list(open_runs):
        with suppress(Exception):
            run.finish()
