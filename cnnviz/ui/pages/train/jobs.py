"""Background work of the Train page: the learning-rate range test of the plan, and early diagnoses of runs.

Both run in threads of the app, so that no page has to wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from cnnviz import datasets
from cnnviz.datasets.spec import Progress, Step
from cnnviz.diagnosis import rules
from cnnviz.figures.curves import range_test, range_test_alt
from cnnviz.tracking import Run, Status
from cnnviz.training import Recipe
from cnnviz.ui.components.plot import plot
from cnnviz.ui.shared import layout, notice
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.notice import error_text, progress_text
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.recipe_plan import Plan

if TYPE_CHECKING:
    from cnnviz.diagnosis import Finding
    from cnnviz.tracking import Database
    from cnnviz.training.rate_finder import RateTest

KEY = "train-rate-job"
_TURNS = threading.Semaphore(1)
"""Only one range test at a time trains in this process, for all visitors."""
_UNTOUCHED = frozenset(
    (
        *("lr", "schedule", "epochs", "warmup_epochs", "step_epochs", "step_factor", "patience"),
        *("early_stopping", "stop_metric", "restore_best", "name", "description", "assumed"),
    )
)
"""Fields that a range test does not depend on: choosing its rate must not discard it."""


class RateJob(BackgroundJob["RateTest"]):
    """Background range test of one recipe."""

    def __init__(self, recipe: Recipe, database: Database | None) -> None:
        self.identity = _identity(recipe)
        super().__init__(
            lambda report: _work(recipe, database, report), Step("Preparing", 0, 0), "find-rate", _TURNS
        )


def _work(recipe: Recipe, database: Database | None, report: Progress) -> RateTest:
    """Run the test; `database` holds the run that the recipe begins with, if it begins with one."""
    from cnnviz.training.fine_tuning import resolve_start_weights
    from cnnviz.training.rate_finder import find_rate

    if database is not None:
        recipe = resolve_start_weights(recipe, database)
    return find_rate(recipe, datasets.load(recipe.dataset, progress=report), report)


def _identity(recipe: Recipe) -> str:
    return recipe.model_dump_json(exclude=set(_UNTOUCHED))


def rate_finder(plan: Plan) -> None:
    """Draw the button, or the range test of this plan if there is one."""
    job: RateJob | None = st.session_state.get(KEY)
    mine = job is not None and plan.recipe is not None and job.identity == _identity(plan.recipe)
    if job is None or not mine or job.cancelled:
        st.button(
            "Find a rate", icon=":material/query_stats:", key="train-find-rate", type="tertiary",
            on_click=_begin, disabled=plan.recipe is None,
            help="Range test: trains a copy for some hundred steps at growing rates, a minute at most, and "
            "shows at which the loss falls. Nothing of it is kept.",
        )  # fmt: skip
        return
    if job.running:
        redraw_until_ended(job, partial(_draw_progress, job))
    else:
        _result(job, plan)


def _begin() -> None:
    recipe = plans.read().recipe
    if recipe is None:
        return
    before: RateJob | None = st.session_state.get(KEY)
    if before is not None:
        before.cancel()
    try:
        database = run_data.database() if recipe.start_from else None
    except (ValueError, OSError) as error:
        notice.defer(str(error))
        return
    st.session_state[KEY] = RateJob(recipe, database)


def _draw_progress(job: RateJob) -> None:
    text = "Waits for another range test …" if job.waiting else progress_text(job.step, 0.0)
    with st.container(key="train-rate-live", gap="small"):
        st.progress(job.fraction, text=notice.escape(text))
        st.button("Cancel", icon=":material/stop:", key="train-rate-cancel", on_click=job.cancel)


def _result(job: RateJob, plan: Plan) -> None:
    from cnnviz.training.rate_finder import RULE

    with st.container(key="train-rate-result", gap="small", border=True):
        st.markdown("**Learning-rate range test**")
        result = job.result
        if result is None:
            st.error(error_text(job.error or ValueError("It ended without a result.")))
        else:
            plot(
                range_test(result.rates, result.losses, result.smoothed, result.suggestion),
                key="train-rate-figure", height=300, picks=False, name="learning-rate-range-test",
                alt=range_test_alt(result.rates, result.smoothed, result.suggestion),
            )  # fmt: skip
            st.caption(notice.escape(result.sentence), help=RULE)
        with st.container(horizontal=True, gap="small"):
            if result is not None and result.suggestion is not None:
                used = plan.recipe is not None and plan.recipe.lr == result.suggestion
                st.button(
                    "This rate is used" if used else f"Use {result.suggestion:g}",
                    icon=":material/check:", key="train-rate-use", disabled=used,
                    on_click=plans.set_field, args=("lr", f"{result.suggestion:g}"),
                )  # fmt: skip
            st.button("Test again", key="train-rate-again", type="tertiary", on_click=_begin)
            st.button("Close", key="train-rate-close", type="tertiary", on_click=_close)


def _close() -> None:
    st.session_state.pop(KEY, None)


PATIENCE = 0.03
"""Seconds that a page waits for a diagnosis that has just begun; most take less."""
MIN_SECONDS, MAX_SECONDS = 3.0, 15.0
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
        known.next_look = time.monotonic() + min(MAX_SECONDS, max(MIN_SECONDS, diagnosis.seconds / SHARE))


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
