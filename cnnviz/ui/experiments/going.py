"""A started experiment: how far it is, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import experiments
from cnnviz.experiments import Stored
from cnnviz.experiments.experiment import MOST_SEEDS
from cnnviz.experiments.progress import Progress, progress
from cnnviz.figures import measures
from cnnviz.tracking import Database, Status
from cnnviz.ui import chrome, notice
from cnnviz.ui.experiments.confirm import queue_button

MORE = 2
"""Seeds that a press of the button adds."""


def going(stored: Stored, database: Database) -> None:
    """Draw progress while it goes on, and the buttons."""
    found = progress(database, stored)
    each = None if found.waiting else _seconds_of_a_run(stored)
    more = MORE * len(stored.experiment.names)
    broken = None if each is None else each * found.broken
    more_seconds = None if each is None else each * (found.broken + more)
    if found.waiting:
        st.progress(found.share, _told(stored, found))
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="experiments-acts")
    act = partial(_button, stored, st.container())
    with row:
        if found.waiting:
            act("Stop", ":material/stop:", lambda: experiments.stop(database, stored.id),
                "Its runs keep what they have learnt, and can be gone on with.")  # fmt: skip
        elif found.broken:
            act("Go on", ":material/play_arrow:", lambda: experiments.queue(database, stored.id),
                "Queues what is missing and resumes what ended early.", found.broken, broken)  # fmt: skip
        if not found.waiting and len(stored.experiment.seeds) + MORE <= MOST_SEEDS:
            act(f"{MORE} more seeds", ":material/add:", lambda: experiments.extend(database, stored.id, MORE),
                "More pairs make the interval narrower.", found.broken + more, more_seconds)  # fmt: skip
        if found.going is not None:
            run = stored.runs[found.going]
            chrome.link(
                "train", "Watch the run", icon=":material/monitoring:", run=str(run.id) if run else None
            )


def _told(stored: Stored, found: Progress) -> str:
    left = "" if found.seconds_left is None else f", about {measures.duration(found.seconds_left)} left"
    now = "" if found.going is None else f" · now: {found.going.arm}, seed {found.going.seed}"
    return notice.plain(f"{found.done} of {found.total} runs{left}{now}")


def _seconds_of_a_run(stored: Stored) -> float | None:
    """The mean over those that finished; None where none has."""
    ended = [run.seconds for run in stored.runs.values() if run is not None and run.status is Status.FINISHED]
    return sum(ended) / len(ended) if ended else None


def _button(
    stored: Stored,
    below: DeltaGenerator,
    label: str,
    icon: str,
    act: Callable[[], object],
    about: str,
    runs: int = 0,
    seconds: float | None = None,
) -> None:
    key = f"experiments-{label}-{stored.id}"
    if not queue_button(label, icon=icon, key=key, about=about, runs=runs, seconds=seconds, below=below):
        return
    try:
        act()
    except (ValueError, OSError) as error:
        st.error(notice.plain(str(error)), icon=":material/error:")
        return
    st.rerun()
