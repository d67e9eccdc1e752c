"""The page as a whole: one experiment with its answer, how to run it, and all the others below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from cnnviz import experiments
from cnnviz.experiments import Stored
from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.demonstrating import every_demonstration
from cnnviz.tracking import Database
from cnnviz.ui import notice, url_state
from cnnviz.ui.components.follow import following
from cnnviz.ui.experiments import answer, state
from cnnviz.ui.experiments.bar import bar
from cnnviz.ui.experiments.chosen import Chosen, chosen, of_stored
from cnnviz.ui.experiments.demonstration import demonstration
from cnnviz.ui.experiments.going import going
from cnnviz.ui.experiments.listing import listing
from cnnviz.ui.experiments.meanwhile import meanwhile
from cnnviz.ui.experiments.plan import plan
from cnnviz.ui.runs import store

CSS = Path(__file__).with_name("experiments.css")
PAIRED = (
    "One run that went better is no proof: with another seed, that is with other first weights and another "
    "order of images, it might have gone worse.\n\nSo each arm is trained with the same seeds. Runs of one "
    "seed make a pair that differs in nothing but the change, and when all of them have ended this page "
    "says what the change does, with an interval, or that no difference can be seen."
)
TICK_SECONDS = 2.0
"""Between two looks at an experiment that goes on."""


def experiments_page() -> None:
    """Draw the page; a database that cannot be used is said, and what ships is shown all the same."""
    following()
    st.html(CSS)
    asked, said = state.current(), []
    database: Database | None = None
    own: Sequence[Stored] = ()
    try:
        database = store.database()
        own = experiments.every(database)
    except (ValueError, OSError) as error:
        database = None
        said.append(f"Experiments cannot be started now. {error}")
    shown = every_demonstration().get(asked.name or "")
    now = shown or chosen(asked, own, database, said)
    bar(now, own)
    notice.say([*asked.problems, *said, *notice.kept()])
    if not isinstance(now, Chosen):
        demonstration(now)
    elif now.stored is not None and database is not None:
        _follow(now.stored, database)
    else:
        _not_started(now, database)
    listing(own)


def _follow(stored: Stored, database: Database) -> None:
    """Draw a started experiment, again and again as long as it goes on."""
    alive = bool(stored.waiting())

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            now = experiments.get(database, stored.id)
            if bool(now.waiting()) != alive:
                st.rerun()  # the whole page, so that the ticking ends or begins
            _draw(of_stored(database, now), database)
        except (ValueError, OSError) as error:
            st.error(f"The experiment cannot be read just now. {notice.plain(str(error))}")

    with st.container(key="experiments-live"):
        live()


def _draw(now: Chosen, database: Database) -> None:
    if now.result is None or now.stored is None:
        return
    answer.verdict(now.result)
    going(now.stored, database)
    answer.evidence(now, now.result)
    answer.runs_link(now.result)


def _not_started(now: Chosen, database: Database | None) -> None:
    """Draw what ships of a ready-made experiment, or what a link asks, and how to run it."""
    if now.result is not None:
        answer.verdict(now.result)
        st.caption(
            f"Recorded on {notice.plain(now.result.hardware)} with torch {now.torch} and shipped with "
            "cnnviz: nothing of it happens now."
        )
    else:
        st.subheader(now.experiment.question, anchor=False)
    if now.ready is None:
        _from_link(now, database)
        return
    left, right = st.columns([0.64, 0.36], gap="large")
    with left:
        if now.result is not None:
            answer.evidence(now, now.result)
        else:
            _asked(now.ready)
            meanwhile(now.ready)
    with right:
        if now.result is not None:
            _asked(now.ready)
        if database is not None:
            plan(now, database)
        if now.form == "small":
            st.caption(f"What the small form cannot tell: {now.ready.limits}")


def _from_link(now: Chosen, database: Database | None) -> None:
    """Draw what a link asks: nothing of it has run, so that the plan is the picture."""
    left, right = st.columns([0.5, 0.5], gap="large")
    with left:
        st.markdown(PAIRED)
    with right:
        if database is not None:
            plan(now, database)


def _asked(ready: Ready) -> None:
    st.markdown(ready.about)
    st.caption(f"Asked by {ready.asked_by}.")
