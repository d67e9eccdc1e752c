"""The page as a whole: a run, what is wrong with it, and what would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.diagnosis import recorded
from cnnviz.ui import chrome, notice, url_state
from cnnviz.ui.components.follow import following
from cnnviz.ui.diagnose import case as cases
from cnnviz.ui.diagnose import probed, state
from cnnviz.ui.diagnose.bar import ACCURACY, bar
from cnnviz.ui.diagnose.beside import beside, better, itself, made_from, others
from cnnviz.ui.diagnose.case import Case
from cnnviz.ui.diagnose.checked import checked, compared, what_probes_found
from cnnviz.ui.diagnose.findings import findings
from cnnviz.ui.diagnose.state import Asked
from cnnviz.ui.diagnose.verdict import advice, notes, verdict
from cnnviz.ui.runs import store
from cnnviz.ui.story import FAILED, MENDED, story
from cnnviz.ui.train.follow import moving

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

CSS = Path(__file__).with_name("diagnose.css")
TICK_SECONDS = 3.0
"""Between two looks at a run that goes on; judging one anew takes a fraction of a second."""


def diagnose_page() -> None:
    """Draw the page; a database that cannot be used is said, and what ships is shown all the same."""
    following()
    st.html(CSS)
    asked, said = state.current(), []
    runs: Sequence[RunSummary] = ()
    try:
        runs = store.listing(ACCURACY).runs
    except (ValueError, OSError) as error:
        said.append(f"Runs cannot be used now. {error}")
    case = _case(asked, runs, said)
    bar(case, runs)
    notice.say([*asked.problems, *said, *notice.kept()])
    if case is None:
        _nothing()
    elif case.run is None:
        _draw(case, runs)
    else:
        probed.progress(case.run)
        _follow(case.run.id, _anything_going(case.run, runs))


def _case(asked: Asked, runs: Sequence[RunSummary], said: list[str]) -> Case | None:
    """What is asked for; where it cannot be had what ships, else the newest run that can be read."""
    if asked.recorded is not None:
        return cases.of_recorded(asked.recorded)
    if asked.run is not None:
        try:
            return cases.of_run(asked.run)
        except (ValueError, OSError) as error:
            said.append(f"{error} Another is shown instead.")
    if recorded.names():
        return cases.of_recorded(recorded.names()[0])
    for run in runs:
        try:
            return cases.of_run(run.id)
        except (ValueError, OSError):
            continue
    return None


def _anything_going(run: RunSummary, runs: Sequence[RunSummary]) -> bool:
    """Whether the run, or one that was made from it and is drawn beside it, can still change."""
    return moving(run) or any(moving(other) for other in made_from(run, runs))


def _follow(run_id: int, alive: bool) -> None:
    """Draw the run, again and again as long as there is something to wait for."""

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            case = cases.of_run(run_id)
            runs = store.listing(ACCURACY).runs
        except (ValueError, OSError) as error:
            st.error(f"The run cannot be read just now. {notice.plain(str(error))}")
            return
        if case.run is not None and _anything_going(case.run, runs) != alive:
            st.rerun()  # the whole page, so that the ticking ends or begins
        _draw(case, runs)

    with st.container(key="diagnose-live"):
        live()


def _draw(case: Case, runs: Sequence[RunSummary]) -> None:
    mine, sides = itself(case), others(case, runs)
    verdict(case, going=case.run is not None and moving(case.run))
    mended = better(mine, sides)
    if mended:
        st.markdown(f":material/trending_up: {notice.plain(mended)}")
    told = case.recorded in (FAILED, MENDED)
    if told:
        st.markdown(":material/menu_book: [The whole story, from the article to the proof](#story)")
    left, right = st.columns([0.62, 0.38], gap="large")
    with left:
        advice(case)
        findings(case, [] if case.run is None else made_from(case.run, runs))
        notes(case)
        what_probes_found(case.evidence.probes, case.key)
        compared(case.diagnosis, case.key)
        checked(case.diagnosis, case.key)
    with right, st.container(key="diagnose-beside"):
        beside(mine, sides)
    if told:
        story()


def _nothing() -> None:
    with st.container(border=True, key="diagnose-empty"):
        st.markdown(
            "**There is no run to diagnose yet.** Train one; whatever becomes of it is explained here."
        )
        chrome.link("train", "Train a first one", icon=":material/play_arrow:")
