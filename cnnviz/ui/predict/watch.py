"""Beginning a job, and watching it: how far it is, how long it takes still, and stopping it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.datasets import Step
from cnnviz.ui import notice, url_state
from cnnviz.ui.dataset.waiting import told
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.predict.job import Job
from cnnviz.ui.predict.judged import Judged
from cnnviz.ui.predict.rows import rows_so_far
from cnnviz.ui.predict.state import page

if TYPE_CHECKING:
    from cnnviz.ui.predict.files import Files

KEY = "predict-job"
TICK, PATIENCE = 0.5, 1.0
"""Seconds between two looks, and how long a short job is waited for without drawing any progress."""


def job_of(files: Files, networks: Sequence[Network]) -> Job:
    """This visitor's job on these files and networks; another one that is under way is stopped."""
    known: Job | None = st.session_state.get(KEY)
    if known is not None and known.is_for(files, networks):
        return known
    if known is not None:
        known.cancel()
    job = st.session_state[KEY] = Job(files, networks)
    job.wait(PATIENCE)
    return job


def watch(job: Job) -> None:
    """Draw it, and the answers as they come, until it is over; then the page is drawn anew."""

    @st.fragment(run_every=TICK)
    def look() -> None:
        url_state.restore()
        if not job.running:
            st.rerun()
        share = job.progress / max(1, job.total)
        step = Step("Answering", int(job.progress), job.total, "pictures")
        text = "Measuring speed …" if job.done == job.total else told(step, time.monotonic() - job.began)
        st.progress(share, text=notice.plain(text))
        st.button("Stop", icon=":material/stop:", key="predict-stop", on_click=job.cancel)
        if job.done:
            rows_so_far(Judged(job), page() or 1)

    look()
