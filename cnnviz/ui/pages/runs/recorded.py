"""Recorded runs that ship with cnnviz, offered for the list."""

from __future__ import annotations

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.tracking import recorded_runs
from cnnviz.ui.pages.runs import state
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.runs import run_data


def offer(*, first: bool = False) -> None:
    """Draw the recorded runs that are not in the list, each with a button that adds it.

    Args:
        first: Whether nothing was trained here yet, so that they are shown prominently.
    """
    absent = recorded_runs.missing(run_data.database())
    if not absent:
        return
    if first:
        st.header("Recorded runs", anchor=False)
        st.caption(
            "Trained on real data, and shipped with cnnviz: curves, layer statistics, confusion matrix, "
            "recipe. In the list they are compared, diagnosed and cloned like your own."
        )
        _rows(absent)
    else:
        with st.expander("Recorded runs that ship with cnnviz", key="runs-recorded"):
            _rows(absent)


def _rows(names: tuple[str, ...]) -> None:
    for name in names:
        run = recorded_runs.describe(name)
        with st.container(border=True, key=f"recorded-{name}"):
            left, right = st.columns([0.8, 0.2], vertical_alignment="center")
            left.markdown(
                f"**{notice.escape(run.title)}** · {100 * run.accuracy:.2f} % of the test images  \n"
                f"{notice.escape(run.data)}; {run.epochs:g} epochs in {numbers.duration(run.seconds)} on "
                f"{notice.escape(run.hardware)}"
            )
            right.button(
                "Open", key=f"recorded-open-{name}", icon=":material/open_in_new:", on_click=_open,
                args=(name,), width="stretch", help="Puts the run into the list and shows it.",
            )  # fmt: skip
    if len(names) > 1:
        st.button(
            "Put all into the list", key="recorded-all", type="tertiary", icon=":material/playlist_add:",
            on_click=_add_all, args=(names,),
        )  # fmt: skip


def _open(name: str) -> None:
    try:
        run_id = recorded_runs.add(run_data.database(), name)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
    else:
        run_data.invalidate()
        state.change(run=str(run_id))


def _add_all(names: tuple[str, ...]) -> None:
    try:
        for name in names:
            recorded_runs.add(run_data.database(), name)
    except (ValueError, OSError) as error:
        notice.defer(str(error))
    run_data.invalidate()
