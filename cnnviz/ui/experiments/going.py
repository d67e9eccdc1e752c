"""A started experiment: how far it is, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from cnnviz import experiments
from cnnviz.experiments import Stored
from cnnviz.experiments.experiment import MOST_SEEDS
from cnnviz.experiments.progress import Progress, progress
from cnnviz.figures import measures
from cnnviz.tracking import Database
from cnnviz.ui import chrome, notice

MORE = 2
"""Seeds that a press of the button adds."""


def going(stored: Stored, database: Database) -> None:
    """Draw progress while it goes on, and the buttons."""
    found = progress(database, stored)
    if found.waiting:
        st.progress(found.share, _told(stored, found))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="experiments-acts"):
        act = partial(_button, stored)
        if found.waiting:
            act("Stop", ":material/stop:", lambda: experiments.stop(database, stored.id),
                "Its runs keep what they have learnt, and can be gone on with.")  # fmt: skip
        elif found.broken:
            act("Go on", ":material/play_arrow:", lambda: experiments.queue(database, stored.id),
                "Queues what is missing and resumes what ended early.")  # fmt: skip
        if not found.waiting and len(stored.experiment.seeds) + MORE <= MOST_SEEDS:
            act(f"{MORE} more seeds", ":material/add:", lambda: experiments.extend(database, stored.id, MORE),
                "More pairs make the interval narrower.")  # fmt: skip
        if found.going is not None:
            run = stored.runs[found.going]
            chrome.link(
                "train", "Watch the run", icon=":material/monitoring:", run=str(run.id) if run else None
            )


def _told(stored: Stored, found: Progress) -> str:
    left = "" if found.seconds_left is None else f", about {measures.duration(found.seconds_left)} left"
    now = "" if found.going is None else f" · now: {found.going.arm}, seed {found.going.seed}"
    return notice.plain(f"{found.done} of {found.total} runs{left}{now}")


def _button(stored: Stored, label: str, icon: str, act: Callable[[], object], about: str) -> None:
    if not st.button(label, icon=icon, key=f"experiments-{label}-{stored.id}", help=about):
        return
    try:
        act()
    except (ValueError, OSError) as error:
        st.error(notice.plain(str(error)), icon=":material/error:")
        return
    st.rerun()
