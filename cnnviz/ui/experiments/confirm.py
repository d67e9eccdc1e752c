"""A button that queues runs, and asks again where it would queue many or long ones."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import tracking
from cnnviz.experiments.running import needs_confirmation
from cnnviz.figures import measures
from cnnviz.tracking import Database
from cnnviz.ui import notice


def queue_button(
    label: str,
    *,
    key: str,
    icon: str,
    about: str,
    runs: int,
    seconds: float | None,
    below: DeltaGenerator,
    kind: Literal["primary", "secondary"] = "secondary",
) -> bool:
    """Draw it; whether it was pressed and, where that queues much, confirmed below it.

    Args:
        label: The button's text.
        key: Its key, as of any widget.
        icon: Its icon.
        about: Its help.
        runs: How many runs it queues.
        seconds: About how long they take; None where nobody knows.
        below: Where it asks again.
        kind: Its look.
    """
    pressed = st.button(label, type=kind, icon=icon, key=key, help=about)
    if not needs_confirmation(runs, seconds):
        return pressed
    asked = f"{key}-{runs}-asked"
    if pressed:
        st.session_state[asked] = True
    if not st.session_state.get(asked):
        return False
    with below.container(border=True, key=f"{key}-confirm"):
        st.warning(notice.plain(f"{queues_text(runs, seconds)} They train one after another."))
        yes = st.button(f"Queue all {runs:,} runs", key=f"{key}-yes", icon=":material/done_all:")
        no = st.button("Cancel", key=f"{key}-no", type="tertiary")
    if yes or no:
        del st.session_state[asked]
    if no:
        st.rerun()
    return yes


def queues_text(runs: int, seconds: float | None) -> str:
    """Say what a click queues: `This queues 600 runs, about 2 d 3 h on this machine.` and no more."""
    long = "nobody knows how long" if seconds is None else f"about {measures.duration(seconds)}"
    return f"This queues {runs:,} run{'' if runs == 1 else 's'}, {long} on this machine."


def say_room(database: Database, runs: int) -> bool:
    """Whether so many more runs may wait; where they may not, say so before anybody presses a button."""
    try:
        tracking.require_room(database, runs)
    except tracking.TrackingError as error:
        st.warning(notice.plain(str(error)), icon=":material/info:")
        return False
    return True
