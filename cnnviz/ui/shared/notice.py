"""Notices of a page: errors in the URL with what is shown instead, messages of callbacks, progress of work.

Progress is a line of text with a bar; errors are sentences.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import streamlit as st

from cnnviz import datasets
from cnnviz.datasets import Dataset, DatasetSpec, Step
from cnnviz.figures import numbers
from cnnviz.sentences import full_stop

LATER = "notice-later"


def show(problems: Sequence[str]) -> None:
    """Draw one notice with all `problems`, if there are any."""
    if problems:
        st.warning("  \n".join(escape(problem) for problem in problems), icon=":material/info:")


def defer(sentence: str) -> None:
    """Store a sentence of a callback until the page is drawn."""
    st.session_state[LATER] = [*st.session_state.get(LATER, []), sentence]


def pending_notices() -> list[str]:
    """Return the sentences that callbacks stored, once."""
    notices: list[str] = st.session_state.pop(LATER, [])
    return notices


WORD_JOINER = "\N{WORD JOINER}"
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)


def escape(text: str) -> str:
    """Escape text for Markdown: text from a URL must not become a link or an image."""
    # Addresses are linked after backslashes are gone: an invisible character keeps them apart.
    words = _ADDRESS.sub(WORD_JOINER, " ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])", r"\\\1", words)


PAUSE = 0.15
"""Minimum seconds between two redraws."""


class Progress:
    """Progress callback that draws one line: stage, amount and remaining time."""

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
            self._place.progress(share, text=escape(progress_text(step, now - self._began)))
            self._drawn = now

    def clear(self) -> None:
        """Remove the line."""
        self._place.empty()


def progress_text(step: Step, seconds: float) -> str:
    """Format a step, `seconds` after its stage began: `Decoding: 3,000 of 6,000 images, 12 s left`."""
    stage = f"{step.stage[:1].upper()}{step.stage[1:]}"
    if not step.total:
        return f"{stage} …"
    amount = (
        f"{step.done / 1e6:,.1f} of {step.total / 1e6:,.1f} MB"
        if step.unit == "bytes"
        else f"{step.done:,} of {step.total:,} {step.unit}"
    )
    left = seconds * (step.total - step.done) / step.done if step.done else 0.0
    soon = f", {numbers.duration(left)} left" if seconds >= 1 and left >= 1 else ""
    return f"{stage}: {amount}{soon}"


def prepare(spec: DatasetSpec) -> Dataset | None:
    """Download, decode and open a data set with progress; an error is drawn as one sentence."""
    progress = Progress()
    try:
        return datasets.load(spec.name, progress=progress)
    except (ValueError, OSError) as error:
        st.error(error_text(error))
        return None
    finally:
        progress.clear()


def download_text(spec: DatasetSpec) -> str:
    """Format the size of the download: `11.6 MB`."""
    return f"{numbers.significant(spec.download_bytes / 1e6)} MB"


def error_text(error: Exception) -> str:
    """Return an error as escaped text."""
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return escape(full_stop(f"{error.filename or 'The system'}: {error.strerror or error}"))
    return escape(str(error))
