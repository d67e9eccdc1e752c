"""The page follows runs that train or wait; where none does, nothing ticks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.ui import url_state
from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

SECONDS = 2.0
"""Between two looks; one is a query of a millisecond or two, and draws nothing where nothing is new."""


def follow(runs: Iterable[RunSummary]) -> None:
    """Have the page drawn anew whenever a run has gone on, as long as any of these trains or waits."""
    from cnnviz import tracking

    if not any(run.active or run.status is tracking.Status.QUEUED for run in runs):
        return
    seen = tracking.stamp(store.database())
    st.fragment(_look, run_every=SECONDS)(seen)


def _look(seen: Any) -> None:
    from cnnviz import tracking

    url_state.restore()
    try:
        changed = tracking.stamp(store.database()) != seen
    except ValueError:
        return  # The next look may find the database again; what is drawn is still true of its moment.
    if changed:
        st.rerun()
