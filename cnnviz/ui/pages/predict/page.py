"""Predict page: uploads, one to four networks, progress, comparison and predictions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.datasets import Step
from cnnviz.figures import numbers
from cnnviz.inference import evaluate
from cnnviz.inference.images.preprocessing_trace import grouped
from cnnviz.inference.images.read_image import Refusal
from cnnviz.ui.pages.predict import state
from cnnviz.ui.pages.predict.state import MAX_NETWORKS, Job, PageState, bundled, chosen, page, upload, written
from cnnviz.ui.pages.predict.views import JobResults, confusion_matrices, rows, rows_so_far, summary
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.background_job import redraw_until_ended
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.inspection.inspect_header import inside_bar, next_links
from cnnviz.ui.shared.inspection.model_input import Network, choices, network
from cnnviz.ui.shared.notice import progress_text
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.ui.pages.predict.state import Files

# The bar on top: networks; share.

BESIDE = "predict-beside"


def predict_bar(page_state: PageState) -> None:
    """Draw the bar."""
    with inside_bar(page_state.networks[0]):
        _beside(page_state)


def _beside(page_state: PageState) -> None:
    first, *others = page_state.networks
    named = model_input.labels(choices())
    named.pop(first.reference, None)
    for other in others:
        named.setdefault(other.reference, other.loaded.name)
    st.session_state[BESIDE] = [other.reference for other in others]
    st.multiselect(
        "Beside it",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=BESIDE,
        on_change=partial(_choose_beside, named, tuple(st.session_state[BESIDE])),
        max_selections=MAX_NETWORKS - 1,
        label_visibility="collapsed",
        placeholder=f"up to {MAX_NETWORKS - 1} more beside it",
        width=430,
    )


def _choose_beside(named: Mapping[str, str], shown: tuple[str, ...]) -> None:
    # A label that has changed meanwhile is no choice, see `url_state.pick`.
    chosen = [reference for reference in st.session_state[BESIDE] if reference in named]
    if tuple(chosen) != shown:
        change_without_model(against=written(chosen), page=None)


# The prediction job and its progress.

KEY = "predict-job"
PATIENCE = 1.0
"""Seconds for which a short job is awaited without drawing progress."""


def job_of(files: Files, networks: Sequence[Network]) -> Job:
    """Return this visitor's job on these files and networks; any other running one is canceled."""
    known: Job | None = st.session_state.get(KEY)
    if known is not None and known.is_for(files, networks):
        return known
    if known is not None:
        known.cancel()
    job = st.session_state[KEY] = Job(files, networks)
    job.wait(PATIENCE)
    return job


def _draw_progress(job: Job) -> None:
    step = Step("Answering", int(job.progress), job.total, "images")
    text = "Measuring speed …" if job.done == job.total else progress_text(step, time.monotonic() - job.began)
    st.progress(job.progress / max(1, job.total), text=notice.escape(text))
    st.button("Stop", icon=":material/stop:", key="predict-stop", on_click=job.cancel)
    if job.done and not bundled():  # nobody waits for these, and what is drawn early would only be moved
        rows_so_far(JobResults(job), page() or 1)


OPTIONS = {"invert": "--invert", "centre": "--center"}
"""Options of `cnnviz predict` for changes that this page cannot make."""
CSS = Path(__file__).with_name("predict.css")


def predict() -> None:
    """Draw the page for its URL."""
    st.html(CSS)
    current = network()
    page_state = state.current(current)
    predict_bar(page_state)
    notice.show(
        [*url_state.current().problems, *current.problems, *page_state.problems, *notice.pending_notices()]
    )
    with st.container(key="predict-give"):
        upload()
    job = job_of(chosen(), page_state.networks)
    if job.running:
        redraw_until_ended(job, partial(_draw_progress, job))
        return
    _draw_results(job, page_state)


def _draw_results(job: Job, page_state: PageState) -> None:
    job_results = JobResults(job)
    _state(job_results)
    if not job_results.count:
        return
    summary(job_results)
    if job_results.has_labels:
        confusion_matrices(job_results)
    rows(job_results, page_state, partial(_downloads, job_results))
    next_links(page_state.networks[0], "predict")


def _state(job_results: JobResults) -> None:
    job = job_results.job
    if job.failed:
        st.error(notice.escape(f"It ended early: {job.failed} What was answered before is kept."))
    elif job.cancelled:
        st.info(f"Stopped after {job_results.count:,} of {job.total:,} images; what was answered is kept.")
    if bundled():
        st.caption(
            "These are the bundled images. Hand in your own, many at once, and compare networks on them."
        )
    untrained = [network.loaded.name for network in job.networks if not network.loaded.trained]
    if untrained:
        names = notice.escape(", ".join(untrained))
        st.caption(f":material/warning: Fresh weights: nothing was learned, answers mean nothing ({names}).")
    hints = [
        words
        for index, network in enumerate(job.networks)
        for words in _hints(job_results, index, network.loaded.name if len(job.networks) > 1 else "")
    ]
    if hints:
        with st.expander(f"Unlike the training images: {len(hints)} to look at", key="predict-hints"):
            for words in hints:
                st.caption(f":material/help: {notice.escape(words)}")
    if job_results.refused:
        words = "one file was" if job_results.refused == 1 else f"{job_results.refused:,} files were"
        st.warning(f"{words.capitalize()} refused; the list says why.", icon=":material/broken_image:")


def _hints(job_results: JobResults, index: int, network: str) -> Iterator[str]:
    """Yield a sentence per kind of hint on how the images differ from the network's training images."""
    results = [result for result in job_results.results(index) if not isinstance(result, Refusal)]
    for hint, count, first in grouped((result.name, result.hints) for result in results):
        prefix = f"{network}: " if network else ""
        words = f"{prefix}{count:,} of {len(results):,} images, {first} first. {hint.text}"
        if hint.change in OPTIONS:
            words += f" For all of them: cnnviz predict {OPTIONS[hint.change]}, on the command line."
        yield words


def _downloads(job_results: JobResults) -> None:
    results = {
        network.reference: job_results.results(i) for i, network in enumerate(job_results.job.networks)
    }
    alone = next(iter(results.values())) if len(results) == 1 else None
    with st.container(horizontal=True, gap="small", vertical_alignment="center", width="content"):
        duration = numbers.duration(sum(job_results.job.seconds.values()))
        st.caption(f"answered in {duration}", width="content")
        st.download_button(
            "CSV", partial(evaluate.as_csv, results), "predictions.csv", "text/csv", key="predict-csv",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "JSON",
            partial(evaluate.as_json, alone) if alone is not None
            else partial(evaluate.many_as_json, results),
            "predictions.json", "application/json", key="predict-json", on_click="ignore", type="tertiary",
            icon=":material/download:", help="As `cnnviz predict --json` writes it.",
        )  # fmt: skip
