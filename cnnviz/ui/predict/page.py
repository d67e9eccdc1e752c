"""The page in its parts, top to bottom."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from cnnviz.figures import measures
from cnnviz.inference import writing
from cnnviz.inference.hints import grouped
from cnnviz.inference.picture import Refusal
from cnnviz.ui import notice, url_state
from cnnviz.ui.inside.weights import network
from cnnviz.ui.predict import state
from cnnviz.ui.predict.bar import predict_bar
from cnnviz.ui.predict.files import bundled, chosen, upload
from cnnviz.ui.predict.job import Job
from cnnviz.ui.predict.judged import Judged
from cnnviz.ui.predict.mistakes import mistakes
from cnnviz.ui.predict.rows import rows
from cnnviz.ui.predict.state import Asked
from cnnviz.ui.predict.summary import summary
from cnnviz.ui.predict.watch import job_of, watch

OPTIONS = {"invert": "--invert", "centre": "--center"}
"""Of `cnnviz predict`, for changes that this page cannot make."""
CSS = Path(__file__).with_name("predict.css")


def predict() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    current = network()
    asked = state.current(current)
    predict_bar(asked)
    notice.say([*url_state.current().problems, *current.problems, *asked.problems, *notice.kept()])
    with st.container(key="predict-give"):
        upload()
    job = job_of(chosen(), asked.networks)
    if job.running:
        watch(job)
        return
    _found(job, asked)


def _found(job: Job, asked: Asked) -> None:
    judged = Judged(job)
    _state(judged)
    if not judged.count:
        return
    summary(judged)
    _downloads(judged)
    if judged.told:
        mistakes(judged)
    rows(judged, asked)


def _state(judged: Judged) -> None:
    job = judged.job
    if job.failed:
        st.error(notice.plain(f"It ended early: {job.failed} What was answered before is kept."))
    elif job.cancelled:
        st.info(f"Stopped after {judged.count:,} of {job.total:,} pictures; what was answered is kept.")
    if bundled():
        st.caption(
            "These are the bundled pictures. Hand in your own, many at once, and compare networks on them."
        )
    untrained = [one.loaded.name for one in job.networks if not one.loaded.trained]
    if untrained:
        names = notice.plain(", ".join(untrained))
        st.caption(f":material/warning: Fresh weights: nothing was learned, answers mean nothing ({names}).")
    for one, place in zip(job.networks, range(len(job.networks)), strict=True):
        _hints(judged, place, one.loaded.name if len(job.networks) > 1 else "")
    if judged.refused:
        words = "one file was" if judged.refused == 1 else f"{judged.refused:,} files were"
        st.warning(f"{words.capitalize()} refused; why is said in the list.", icon=":material/broken_image:")


def _hints(judged: Judged, place: int, network: str) -> None:
    """Draw what is unlike the network's training images about these pictures, a line a kind."""
    results = [result for result in judged.results(place) if not isinstance(result, Refusal)]
    for hint, count, first in grouped((result.name, result.hints) for result in results):
        whose = f"{network}: " if network else ""
        words = f"{whose}{count:,} of {len(results):,} pictures, {first} first. {hint.text}"
        if hint.change in OPTIONS:
            words += f" For all of them: cnnviz predict {OPTIONS[hint.change]}, on the command line."
        st.caption(f":material/help: {notice.plain(words)}")


def _downloads(judged: Judged) -> None:
    results = {one.reference: judged.results(i) for i, one in enumerate(judged.job.networks)}
    alone = next(iter(results.values())) if len(results) == 1 else None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "CSV", partial(writing.as_csv, results), "predictions.csv", "text/csv", key="predict-csv",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "JSON",
            partial(writing.as_json, alone) if alone is not None else partial(writing.many_as_json, results),
            "predictions.json", "application/json", key="predict-json", on_click="ignore", type="tertiary",
            icon=":material/download:", help="As `cnnviz predict --json` writes it.",
        )  # fmt: skip
        took = measures.duration(sum(judged.job.seconds.values()))
        st.caption(f"{judged.count:,} pictures, {took} of answering", width="content")
