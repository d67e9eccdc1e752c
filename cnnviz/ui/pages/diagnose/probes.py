"""Probes of runs as background jobs; results are shared by all visitors until the run progresses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.datasets.spec import Step
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.notice import progress_text
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.datasets import Progress
    from cnnviz.tracking import Database, Run

HELP = (
    "Seconds of computation with its images, its first weights and its checkpoint: whether it can memorize "
    "one batch, the loss before the first step, how far gradients reach, images that are in both parts."
)


class Job(BackgroundJob[Mapping[str, Any]]):
    """Background job with the probes of a run in its state `stamp`."""

    def __init__(self, database: Database, run_id: int, stamp: tuple[int, ...]) -> None:
        self.stamp = stamp
        super().__init__(partial(_probe, database, run_id), Step("beginning", 0, None, ""), "probes")


def _probe(database: Database, run_id: int, progress: Progress) -> Mapping[str, Any]:
    from cnnviz.diagnosis.probes import probe

    return probe(database, run_id, progress=progress).probes


def of(where: str, run_id: int) -> Mapping[str, Any]:
    """Return the results by probe; empty if the run was not probed."""
    job = _jobs().get((where, run_id))
    return {} if job is None or job.running else job.result or {}


def stamp(run: Run) -> tuple[int, ...]:
    """Return the state for which probe results are valid, if it is the run's current one; else empty."""
    job = _jobs().get((run_data.database().where, run.id))
    fits = job is not None and not job.running and job.result and job.stamp == _state(run)
    return _state(run) if fits else ()


def button(run: Run) -> None:
    """Draw the button that starts the probes."""
    job = _job(run)
    busy = job is not None and job.running
    st.button(
        "Probe again" if stamp(run) else "Probe", key="diagnose-probe", icon=":material/biotech:", help=HELP,
        on_click=_begin, args=(run,), disabled=busy,
    )  # fmt: skip


def progress(run: Run) -> None:
    """Draw the progress of the probes, or their error; the page is redrawn when they end."""
    job = _job(run)
    if job is None:
        return
    if job.running:
        redraw_until_ended(job, partial(_draw_progress, job))
    elif job.error is not None:
        why = str(job.error) or type(job.error).__name__
        st.warning(notice.escape(f"The probes ended early. {why}"), icon=":material/info:")
    elif job.result and not stamp(run):
        st.caption("The run has gone on since it was probed, so that the probes do not count any more.")


def _draw_progress(job: Job) -> None:
    text = progress_text(job.step, job.stage_seconds)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.fraction, text=notice.escape(text))
        st.button("Stop", icon=":material/stop:", key="diagnose-probe-stop", on_click=job.cancel)


def _begin(run: Run) -> None:
    opened = run_data.database()
    _jobs()[opened.where, run.id] = Job(opened, run.id, _state(run))


def _job(run: Run) -> Job | None:
    return _jobs().get((run_data.database().where, run.id))


def _state(run: Run) -> tuple[int, ...]:
    return run.attempt, run.step


@st.cache_resource(show_spinner=False)
def _jobs() -> dict[tuple[str, int], Job]:
    return {}
