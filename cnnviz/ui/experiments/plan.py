"""What would be run: arms, seeds, time; and the button that starts it."""

from __future__ import annotations

from html import escape
from typing import Literal

import streamlit as st

from cnnviz.experiments import Experiment, start
from cnnviz.experiments.changes import changes_text
from cnnviz.experiments.experiment import MOST_SEEDS
from cnnviz.experiments.progress import expected
from cnnviz.figures import measures
from cnnviz.figures.experiment import hue
from cnnviz.tracking import Database
from cnnviz.training.estimate import device_name
from cnnviz.ui import notice, url_state
from cnnviz.ui.experiments.chosen import Chosen
from cnnviz.ui.experiments.confirm import queue_button, say_room
from cnnviz.ui.train.expected import fetched_first

SEEDS = "experiments-seeds"
WANTING = (
    "This form is made for a GPU, and this machine has none. “Export” takes the experiment to one that has; "
    "the form for a laptop asks the same and takes minutes."
)


def plan(chosen: Chosen, database: Database) -> None:
    """Draw it."""
    experiment = chosen.experiment
    wanting = chosen.form == "large" and device_name(experiment.base) == "cpu"
    with st.container(border=True, key="experiments-plan"):
        st.markdown("**Run it here**")
        _arms(experiment)
        runs, seconds = len(list(experiment.cells())), _expected(experiment, database)
        fits = say_room(database, runs)
        if wanting:
            st.warning(WANTING, icon=":material/info:")
        row = st.container(
            horizontal=True, gap="small", vertical_alignment="bottom", key="experiments-start-row"
        )
        below = st.container()
        with row:
            _seeds(len(experiment.seeds))
            kind: Literal["primary", "secondary"] = "secondary" if wanting else "primary"
            if fits and queue_button(
                "Start", kind=kind, icon=":material/play_arrow:", key="experiments-start", runs=runs,
                seconds=seconds, about="Queues the runs like any others; this page follows them.",
                below=below,
            ):  # fmt: skip
                _start(experiment, database)


def _arms(experiment: Experiment) -> None:
    lines = [(experiment.base_name, "the base")]
    lines += [(arm.name, changes_text(experiment, arm.name)) for arm in experiment.arms]
    items = "".join(
        f'<li><i style="background:{hue(place).css}"></i>{escape(name)}<small>{escape(change)}</small></li>'
        for place, (name, change) in enumerate(lines)
    )
    st.html(f'<ul class="experiment-arms">{items}</ul>')


def _expected(experiment: Experiment, database: Database) -> float | None:
    """Draw how many runs, and how many seconds they will take, which is returned; None where nobody knows."""
    arms, seeds = len(experiment.names), len(experiment.seeds)
    told = f"{arms * seeds} runs: {arms} arms with the same {seeds} seed{'s' if seeds > 1 else ''}"
    try:
        seconds, basis = expected(database, experiment)
    except ValueError as error:
        st.warning(notice.plain(str(error)), icon=":material/info:")
        return None
    about = "" if seconds is None else f", about {measures.duration(seconds)} on this machine"
    fetched = fetched_first(experiment.base)
    st.caption(notice.plain(f"{told}{about}. {basis} {fetched}"))
    if seeds == 1:
        st.caption("One seed gives no interval: chance cannot be told from effect.")
    return seconds


def _seeds(count: int) -> None:
    st.session_state[SEEDS] = count
    st.number_input(
        "Seeds", 1, MOST_SEEDS, key=SEEDS, width=120, on_change=_seeded,
        help="Runs of each arm. More of them make the interval narrower: four times as many halve it.",
    )  # fmt: skip


def _seeded() -> None:
    url_state.change(seeds=str(st.session_state[SEEDS]))


def _start(experiment: Experiment, database: Database) -> None:
    """Start it and go to where it is watched; what stands in the way is said."""
    try:
        number = start(database, experiment)
    except (ValueError, OSError) as error:
        st.error(notice.plain(str(error)), icon=":material/error:")
        return
    url_state.change(experiment=str(number), test=None, parent=None, form=None, seeds=None)
    st.rerun()
