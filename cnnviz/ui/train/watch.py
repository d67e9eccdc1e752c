"""A run as it goes on: the one part of the page that ticks, and only while there is something to wait for."""

from __future__ import annotations

import streamlit as st

from cnnviz import tracking
from cnnviz.tracking import Run
from cnnviz.training import Recipe
from cnnviz.ui import notice, url_state
from cnnviz.ui.runs import store
from cnnviz.ui.train.answers import answers
from cnnviz.ui.train.charts import charts
from cnnviz.ui.train.follow import followed, moving
from cnnviz.ui.train.history import history
from cnnviz.ui.train.published import claim
from cnnviz.ui.train.states import headline
from cnnviz.ui.train.story import Story

TICK_SECONDS = 0.4
"""A worker writes what it measured every 0.15 s; with what drawing takes, that stays below a second."""


def watch(run_id: int) -> None:
    """Draw the run, again and again as long as it trains or waits; raises `TrackingError`."""
    run = tracking.get_run(store.database(), run_id)
    alive = moving(run)

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            now, story = followed(store.database(), run_id).look()
        except (ValueError, OSError) as error:
            st.error(
                f"The run cannot be read just now. {notice.plain(str(error))}", icon=":material/database_off:"
            )
            return
        if moving(now) != alive:
            st.rerun()  # the whole page, so that the ticking ends or begins
        draw(now, story)

    with st.container(key="train-live"):
        live()


def draw(run: Run, story: Story) -> None:
    """Draw the run's line, its curves, and what its model answers."""
    recipe = Recipe.model_validate(run.recipe)
    headline(run, story, recipe)
    name = f"run-{run.id}"
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        charts(story, claim(recipe), name)
    with right:
        answers(story, name)
    history(run, story)
