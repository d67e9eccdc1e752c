"""Learning-rate range test of the plan: start, progress, cancellation and result."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import datasets
from cnnviz.datasets.spec import Progress, Step
from cnnviz.figures.curves import range_test, range_test_alt
from cnnviz.training import Recipe
from cnnviz.ui.components.plot import plot
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.background_job import BackgroundJob
from cnnviz.ui.shared.progress import error_text, progress_text
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs.recipe_plan import Plan

if TYPE_CHECKING:
    from cnnviz.training.rate_finder import RateTest

KEY = "train-rate-job"
TICK = 0.5
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

    def __init__(self, recipe: Recipe) -> None:
        self.identity = _identity(recipe)
        super().__init__(lambda report: _work(recipe, report), Step("Preparing", 0, 0), "find-rate", _TURNS)


def _work(recipe: Recipe, report: Progress) -> RateTest:
    from cnnviz.training.rate_finder import find_rate

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
        _watch(job)
    else:
        _result(job, plan)


def _begin() -> None:
    recipe = plans.read().recipe
    if recipe is None:
        return
    before: RateJob | None = st.session_state.get(KEY)
    if before is not None:
        before.cancel()
    st.session_state[KEY] = RateJob(recipe)


def _watch(job: RateJob) -> None:
    @st.fragment(run_every=TICK)
    def tick() -> None:
        url_state.restore()
        if not job.running:
            st.rerun()
        step = job.step
        text = "Waits for another range test …" if job.waiting else progress_text(step, 0.0)
        share = min(1.0, step.done / step.total) if step.total else 0.0
        with st.container(key="train-rate-live", gap="small"):
            st.progress(share, text=notice.escape(text))
            st.button("Cancel", icon=":material/stop:", key="train-rate-cancel", on_click=job.cancel)

    tick()


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
