"""A quiet line beside a run: what is likely wrong with it, with the way to the reasons."""

from __future__ import annotations

import streamlit as st

from cnnviz.diagnosis import rules
from cnnviz.tracking import Run, Status
from cnnviz.ui import chrome, notice
from cnnviz.ui.diagnose.hints import hints
from cnnviz.ui.runs import store

HUSHED = "train-hushed"


def hint_line(run: Run) -> None:
    """Draw at most one hint, which can be put away; none of a failed run, whose link asks why already."""
    if run.status is Status.FAILED:
        return
    found = hints().of(store.database(), run)
    hushed: set[tuple[int, str]] = st.session_state.setdefault(HUSHED, set())
    if found is None or (run.id, found.cause) in hushed:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="train-hint"):
        title = notice.plain(rules()[found.cause].title)
        st.markdown(f":material/lightbulb: **{title}?** {notice.plain(found.verdict)}", width="stretch")
        chrome.link("diagnose", "See why", icon=":material/stethoscope:", run=str(run.id))
        st.button(
            ":material/close:", key="train-hint-close", type="tertiary", help="Put this hint away",
            on_click=hushed.add, args=((run.id, found.cause),),
        )  # fmt: skip
