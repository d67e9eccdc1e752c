"""This visitor's jobs that prepare data: begun, watched while the page stays usable, and how they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.datasets.spec import Step
from cnnviz.sentences import full_stop
from cnnviz.ui import notice, url_state
from cnnviz.ui.background_job import BackgroundJob
from cnnviz.ui.dataset.waiting import sentence, told

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset, Progress

KEY = "data-jobs"
TICK, PATIENCE = 0.5, 1.0
"""Seconds between two looks, and how long a short job is waited for without drawing any progress."""
AT_ONCE = 2
"""Jobs of all visitors that work at a time; others wait for their turn."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)


class Job(BackgroundJob["Dataset"]):
    """The preparation of a data set.

    Args:
        title: What is prepared, in sentences: a file's name or a data set's.
        work: Prepares it, calling back with its progress.
    """

    def __init__(self, title: str, work: Callable[[Progress], Dataset]) -> None:
        self.title = title
        super().__init__(work, Step(f"looking through {title}", 0, None), "prepare", _TURNS)


def job_of(subject: str) -> Job | None:
    """Return this visitor's job on a subject (an upload, or a data set by name), whatever its state."""
    return _jobs().get(subject)


def begin(subject: str, title: str, work: Callable[[Progress], Dataset]) -> Job:
    """Begin a job on a subject; what came of the one before is forgotten."""
    job = _jobs()[subject] = Job(title, work)
    job.wait(PATIENCE)
    return job


def dismiss(subject: str) -> None:
    """Forget what came of a job, for use in callbacks."""
    _jobs().pop(subject, None)


def draw(subject: str, job: Job) -> None:
    """Draw a job that is no data set yet: its progress, or why it ended, with what can be done about it."""
    if job.running:
        _watch(subject, job)
    elif job.cancelled:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.info(
                notice.plain(f"{job.title} was cancelled; nothing of it was kept."), icon=":material/block:"
            )
            _close(subject)
    elif job.error is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.error(failure(job.error))
            _close(subject)


def failure(error: Exception) -> str:
    """Say why a job failed, in one sentence, as Markdown that shows it as it is."""
    if isinstance(error, (ValueError, OSError)):
        return sentence(error)
    return notice.plain(full_stop(f"It could not be prepared: {type(error).__name__}: {error}"))


def _watch(subject: str, job: Job) -> None:
    """Draw the progress until the job is over; then the page is drawn anew."""

    @st.fragment(run_every=TICK)
    def look() -> None:
        url_state.restore()
        if not job.running:
            st.rerun()
        step = job.step
        share = min(1.0, step.done / step.total) if step.total else 0.0
        with st.container(border=True, key=f"job-{_slug(subject)}"):
            st.markdown(f"**Preparing {notice.plain(job.title)}.** The page can be used meanwhile.")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.progress(share, text=notice.plain(_text(job)))
                st.button(
                    "Cancel", icon=":material/close:", key=f"{_slug(subject)}-cancel",
                    on_click=job.cancel, disabled=job.stopping,
                )  # fmt: skip

    look()


def _text(job: Job) -> str:
    if job.stopping:
        return "Stopping …"
    if job.waiting:
        return "Waiting for other data sets that are being prepared …"
    return told(job.step, time.monotonic() - job.stage_began)


def _close(subject: str) -> None:
    st.button("Close", key=f"{_slug(subject)}-close", type="tertiary", on_click=dismiss, args=(subject,))


def _slug(subject: str) -> str:
    return f"prepare-{subject.replace('/', '-')}"


def _jobs() -> dict[str, Job]:
    found: dict[str, Job] = st.session_state.setdefault(KEY, {})
    return found
