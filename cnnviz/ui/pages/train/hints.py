"""Hints: early diagnoses of live runs, computed in a thread of the app so that no page has to wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from cnnviz.diagnosis import rules
from cnnviz.tracking import Run, Status
from cnnviz.ui.shared import layout, notice
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.diagnosis import Finding
    from cnnviz.tracking import Database

PATIENCE = 0.03
"""Seconds that a page waits for a diagnosis that has just begun; most take less."""
LEAST_SECONDS, MAX_SECONDS = 3.0, 15.0
SHARE = 0.02
"""Fraction of one core for a run's hints: after a slow diagnosis the next waits up to `MAX_SECONDS`."""
KEPT = 64
"""Maximum number of runs."""


class EarlyDiagnosis(NamedTuple):
    """The finding of an early diagnosis, and its processor time in seconds."""

    finding: Finding | None
    seconds: float


@dataclass
class _Known:
    state: Any = None
    """The run's state at the last diagnosis."""
    finding: Finding | None = None
    next_look: float = 0.0
    looking: Future[EarlyDiagnosis] | None = None


class Hints:
    """Hints by run, shared by all visitors, so that a run is diagnosed once for all."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hints")
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()

    def of(self, database: Database, run: Run) -> Finding | None:
        """Return the newest hint for a run, None if there is none (yet); waits at most `PATIENCE` seconds."""
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

    def _look(self, known: _Known, database: Database, run: Run) -> Future[EarlyDiagnosis] | None:
        """Return the pending diagnosis of a run.

        Start one if the run has progressed and enough time has passed.
        """
        state = (run.attempt, run.step, run.status)
        now = time.monotonic()
        if known.looking is None and known.state != state and now >= known.next_look:
            if known.state is not None and known.state[0] != run.attempt:
                known.finding = None
            known.state = state
            known.looking = self._pool.submit(_early_diagnosis, database, run.id)
        return known.looking

    def _take(self, known: _Known, looking: Future[EarlyDiagnosis]) -> None:
        if known.looking is not looking:
            return
        known.looking = None
        try:
            diagnosis = looking.result()
        except Exception:  # no hint then; the Diagnose page reports the error
            logging.getLogger(__name__).debug("No hint", exc_info=True)
            diagnosis = EarlyDiagnosis(None, MAX_SECONDS)
        known.finding = diagnosis.finding
        known.next_look = time.monotonic() + min(MAX_SECONDS, max(LEAST_SECONDS, diagnosis.seconds / SHARE))


def _early_diagnosis(database: Database, run_id: int) -> EarlyDiagnosis:
    from cnnviz.diagnosis import gather
    from cnnviz.diagnosis.engine import hint

    began = time.thread_time()
    finding = hint(gather(database, run_id))
    return EarlyDiagnosis(finding, time.thread_time() - began)


@st.cache_resource(show_spinner=False)
def shared_hints() -> Hints:
    """Return the app's hints."""
    return Hints()


# The hint of a run as a line with a link to its diagnosis.

HUSHED = "train-hushed"


def hint_line(run: Run) -> None:
    """Draw at most one hint, which can be dismissed; none for a failed run, which has a link of its own."""
    if run.status is Status.FAILED:
        return
    finding = shared_hints().of(run_data.database(), run)
    hushed: set[tuple[int, str]] = st.session_state.setdefault(HUSHED, set())
    if finding is None or (run.id, finding.cause) in hushed:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="train-hint"):
        title = notice.escape(rules()[finding.cause].title)
        st.markdown(f":material/lightbulb: **{title}?** {notice.escape(finding.verdict)}", width="stretch")
        layout.link("diagnose", "See why", icon=":material/stethoscope:", run=str(run.id))
        st.button(
            ":material/close:", key="train-hint-close", type="tertiary", help="Put this hint away",
            on_click=hushed.add, args=((run.id, finding.cause),),
        )  # fmt: skip
