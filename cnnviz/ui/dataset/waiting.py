"""From a spec to the data itself: what is here opens at once, the rest is prepared in sight, or offered."""

from __future__ import annotations

import time

import streamlit as st

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset, DatasetSpec, Step
from cnnviz.figures import measures, numbers
from cnnviz.sentences import full_stop
from cnnviz.ui import notice
from cnnviz.ui.dataset.words import facts_html

PAUSE = 0.15
"""Seconds between two drawings of the progress."""


class Progress:
    """A progress callback that draws one line: what is being done, how far it is, how long it takes still."""

    def __init__(self) -> None:
        self._place = st.empty()
        self._stage, self._began, self._drawn = "", 0.0, 0.0

    def __call__(self, step: Step) -> None:
        """Draw a step, a few times a second."""
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._began, self._drawn = step.stage, now, 0.0
        if now - self._drawn >= PAUSE:
            share = min(1.0, step.done / step.total) if step.total else 0.0
            self._place.progress(share, text=notice.plain(told(step, now - self._began)))
            self._drawn = now

    def clear(self) -> None:
        """Take the line away."""
        self._place.empty()


def told(step: Step, seconds: float) -> str:
    """A step in words, `seconds` after its stage began: `Decoding: 3,000 of 6,000 images, 12 s left`."""
    stage = f"{step.stage[:1].upper()}{step.stage[1:]}"
    if not step.total:
        return f"{stage} …"
    amount = (
        f"{step.done / 1e6:,.1f} of {step.total / 1e6:,.1f} MB"
        if step.unit == "bytes"
        else f"{step.done:,} of {step.total:,} {step.unit}"
    )
    left = seconds * (step.total - step.done) / step.done if step.done else 0.0
    soon = f", {measures.duration(left)} left" if seconds >= 1 and left >= 1 else ""
    return f"{stage}: {amount}{soon}"


def opened(spec: DatasetSpec) -> Dataset | None:
    """The data set; None where it has to be downloaded first (offered) or cannot be had (said)."""
    try:
        ready = datasets.prepared(spec.name)
    except (DataError, OSError) as error:
        st.error(sentence(error))
        return None
    if ready is not None or spec.offline:
        return ready or prepare(spec)
    return _offered(spec)


def prepare(spec: DatasetSpec) -> Dataset | None:
    """Download, decode and open it in sight; what goes wrong is said in one sentence."""
    progress = Progress()
    try:
        return datasets.load(spec.name, progress=progress)
    except (ValueError, OSError) as error:
        st.error(sentence(error))
        return None
    finally:
        progress.clear()


def _offered(spec: DatasetSpec) -> Dataset | None:
    """What is known before a download, and the button for it."""
    with st.container(border=True, key="offer"):
        title, summary = notice.plain(spec.title), notice.plain(spec.summary)
        st.markdown(f"**{title} is not on this machine yet.** {summary}")
        st.html(facts_html(_known(spec)))
        if not st.button(
            f"Download {download_text(spec)}", icon=":material/download:", type="primary", key="download"
        ):
            return None
        ready = prepare(spec)
        if ready is not None:
            st.rerun()
        return None


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


def download_text(spec: DatasetSpec) -> str:
    """How much has to be downloaded, `11.6 MB`."""
    return f"{numbers.significant(spec.download_bytes / 1e6)} MB"


def sentence(error: Exception) -> str:
    """An error as text that is shown as it is."""
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return notice.plain(full_stop(f"{error.filename or 'The system'}: {error.strerror or error}"))
    return notice.plain(str(error))
