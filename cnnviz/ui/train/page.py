"""The page as a whole: a run that is watched, or a plan with the queue and something to see below it."""

from __future__ import annotations

import re

import streamlit as st

from cnnviz import datasets, tracking
from cnnviz.tracking import Database, NoSuchRunError, Status
from cnnviz.training import Recipe
from cnnviz.ui import chrome, notice, url_state
from cnnviz.ui.runs import store
from cnnviz.ui.train import bar, example
from cnnviz.ui.train import plan as plans
from cnnviz.ui.train.answers import answers
from cnnviz.ui.train.charts import charts
from cnnviz.ui.train.expected import expected
from cnnviz.ui.train.fields import fields
from cnnviz.ui.train.follow import followed
from cnnviz.ui.train.published import claim
from cnnviz.ui.train.waiting import in_queue, queue
from cnnviz.ui.train.watch import watch
from cnnviz.ui.url_state import quoted

QUEUE_SECONDS = 1.0


def train_page() -> None:
    """Draw the page; a database that cannot be used is said in a sentence, and the plan stays."""
    bar.styles()
    asked = st.query_params.get("run")
    try:
        database = store.database()
        if asked is not None and (run := _run(database, asked)) is not None:
            notice.say(notice.kept())
            watch(run)
            return
    except (tracking.TrackingError, OSError) as error:
        st.error(f"Runs cannot be used now. {notice.plain(str(error))}", icon=":material/database_off:")
        _plan(None)
        return
    try:
        _plan(database)
    except (tracking.TrackingError, OSError) as error:
        st.error(f"Runs cannot be used now. {notice.plain(str(error))}", icon=":material/database_off:")


def _run(database: Database, asked: str) -> int | None:
    """The run that the URL asks for; a sentence where there is none."""
    if re.fullmatch(r"[0-9]{1,9}", asked) is None:
        notice.later(f"“run” is the number of a run, not {quoted(asked)}.")
        return None
    try:
        return tracking.get_run(database, int(asked)).id
    except NoSuchRunError:
        notice.later(f"There is no run {quoted(asked)}.")
        return None


def _plan(database: Database | None) -> None:
    plan = plans.read()
    bar.bar(plan)
    if plan.base.description:
        st.caption(notice.plain(plan.base.description))
    if plan.parent is not None:
        st.caption(f"Changes the recipe of run {plan.parent}, which stays as it is.")
    room = st.container(key="train-expected")
    fields(plan)
    data = plan.shown.dataset
    if data in datasets.names():
        chrome.link("data", "Look at the data", icon=":material/photo_library:", dataset=data, run=None)
    if database is None:
        example.draw()
        return
    _queue(database)
    _below(database)
    with room:  # last, since a network whose facts are not shipped has to wait for torch
        expected(plan, database)


def _queue(database: Database) -> None:
    alive = bool(in_queue(database))

    @st.fragment(run_every=QUEUE_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        runs = in_queue(database)
        if bool(runs) != alive:
            st.rerun()
        if runs:
            queue(runs)

    live()


def _below(database: Database) -> None:
    """The newest run that has something to show, or the recorded example."""
    shown = (Status.FINISHED, Status.STOPPED, Status.PAUSED)
    newest = tracking.list_runs(database, statuses=shown, metrics=["train/loss"], limit=1)
    if not newest or not newest[0].metrics:
        example.draw()
        return
    run, story = followed(database, newest[0].id).look()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"Last run: {run.id} · {notice.plain(run.name)}", anchor=False, width="content")
        st.button(
            "Open it", key="train-last", on_click=plans.put, kwargs={"run": str(run.id)}, type="tertiary"
        )
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        charts(story, claim(Recipe.model_validate(run.recipe)), f"run-{run.id}")
    with right:
        answers(story, f"run-{run.id}")
