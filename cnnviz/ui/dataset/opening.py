"""From a spec to the data itself: what is here opens at once, the rest is prepared in a job, or offered."""

from __future__ import annotations

from functools import partial

import streamlit as st

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset, DatasetSpec, Progress
from cnnviz.figures import measures, numbers
from cnnviz.ui import notice
from cnnviz.ui.dataset import preparing
from cnnviz.ui.dataset.waiting import download_text, prepare, sentence
from cnnviz.ui.dataset.words import facts_html


def opened(spec: DatasetSpec) -> Dataset | None:
    """The data set; None where it is being prepared, has to be downloaded first, or cannot be had: drawn."""
    try:
        ready = datasets.prepared(spec.name)
    except (DataError, OSError) as error:
        st.error(sentence(error))
        return None
    if ready is not None:
        preparing.dismiss(spec.name)
        return ready
    if spec.source == "yours":
        # Its decoded copy is gone, or of an earlier version; what failed once is not tried at every turn.
        job = preparing.job_of(spec.name) or _begin(spec)
        if job.result is None:
            preparing.draw(spec.name, job)
        return job.result
    # What is drawn or computed here takes a second or two.
    return prepare(spec) if spec.offline else _offered(spec)


def _offered(spec: DatasetSpec) -> Dataset | None:
    """What is known before a download, and the button for it."""
    job = preparing.job_of(spec.name)
    if job is not None and job.result is not None:
        return job.result
    with st.container(border=True, key="offer"):
        title, summary = notice.plain(spec.title), notice.plain(spec.summary)
        st.markdown(f"**{title} is not on this machine yet.** {summary}")
        st.html(facts_html(_known(spec)))
        if st.button(
            f"Download {download_text(spec)}",
            icon=":material/download:",
            type="primary",
            key="download",
            disabled=job is not None and job.running,
        ):
            _begin(spec)
            st.rerun()
    if job is not None:
        preparing.draw(spec.name, job)
    return None


def _begin(spec: DatasetSpec) -> preparing.Job:
    return preparing.begin(spec.name, spec.title, partial(_load, spec.name))


def _load(name: str, progress: Progress) -> Dataset:
    return datasets.load(name, progress=progress)


def _known(spec: DatasetSpec) -> list[tuple[str, str]]:
    decoded = (spec.train + spec.test) * spec.shape[0] * spec.shape[1] * spec.shape[2]
    return [
        ("Images", f"{spec.train:,} to train, {spec.test:,} to test, {numbers.shape(spec.shape)} each"),
        ("Classes", f"{len(spec.classes)}: {', '.join(spec.classes[:12])}{' …' * (len(spec.classes) > 12)}"),
        ("From", spec.origin),
        ("Licence", spec.licence),
        ("Described in", spec.citation),
        ("Takes", f"{download_text(spec)} to download; decoded, {measures.size(decoded)} on disk"),
    ]
