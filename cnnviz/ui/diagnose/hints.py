"""Hints beside runs that go on, worked out in a thread of the app's: no page waits, and no training."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

if TYPE_CHECKING:
    from cnnviz.diagnosis import Finding
    from cnnviz.tracking import Database, Run

PATIENCE = 0.03
"""Seconds that a page waits for a look that has just begun; most take less."""
LEAST_SECONDS, MOST_SECONDS = 3.0, 15.0
SHARE = 0.02
"""Of one core: after a look that cost much the next one waits the longer, up to `MOST_SECONDS`."""
KEPT = 64
"""Runs."""


class Looked(NamedTuple):
    """What a look found, and the seconds of processor time it took."""

    finding: Finding | None
    seconds: float


@dataclass
class _Known:
    state: Any = None
    """The run's when it was looked at last."""
    finding: Finding | None = None
    next_look: float = 0.0
    looking: Future[Looked] | None = None


class Hints:
    """What is to be said of each run; shared by all visitors, so that a run is looked at once for all."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hints")
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()

    def of(self, database: Database, run: Run) -> Finding | None:
        """The newest hint for a run, None where there is none (yet); takes at most `PATIENCE`."""
        with self._lock:
            known = self._known.setdefault((database.where, run.id), _Known())
            self._known.move_to_end((database.where, run.id))
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            looking = self._look(known, database, run)
        if looking is not None and wait([looking], PATIENCE).done:
            with self._lock:
                self._take(known, looking)
        return known.finding

    def _look(self, known: _Known, database: Database, run: Run) -> Future[Looked] | None:
        """What is under way for the run; a new look where it has gone on and enough time has passed."""
        state = (run.attempt, run.step, run.status)
        now = time.monotonic()
        if known.looking is None and known.state != state and now >= known.next_look:
            if known.state is not None and known.state[0] != run.attempt:
                known.finding = None
            known.state = state
            known.looking = self._pool.submit(_found, database, run.id)
        return known.looking

    def _take(self, known: _Known, looking: Future[Looked]) -> None:
        if known.looking is not looking:
            return
        known.looking = None
        try:
            found = looking.result()
        except Exception:  # a hint that cannot be had is none; Diagnose says why
            logging.getLogger(__name__).debug("No hint", exc_info=True)
            found = Looked(None, MOST_SECONDS)
        known.finding = found.finding
        known.next_look = time.monotonic() + min(MOST_SECONDS, max(LEAST_SECONDS, found.seconds / SHARE))


def _found(database: Database, run_id: int) -> Looked:
    from cnnviz.diagnosis import gather
    from cnnviz.diagnosis.judge import hint

    began = time.thread_time()
    finding = hint(gather(database, run_id))
    return Looked(finding, time.thread_time() - began)


@st.cache_resource(show_spinner=False)
def hints() -> Hints:
    """The one of this app."""
    return Hints()
