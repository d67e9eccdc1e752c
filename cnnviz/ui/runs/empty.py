"""What stands where there is nothing to list: how to get there, and something worth seeing."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import chrome
from cnnviz.ui.runs import state
from cnnviz.ui.runs.state import FILTERS, Asked
from cnnviz.ui.runs.trade import published_trade


def no_runs(asked: Asked) -> None:
    """Draw the page of who has trained nothing yet."""
    with st.container(border=True, key="runs-empty"):
        st.markdown(
            "**Nothing was trained here yet.** Every run will be listed on this page, with its curves, its "
            "figures and its weights; two or more of them can be laid over one another."
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            chrome.link("train", "Train a first one", icon=":material/play_arrow:")
            st.caption("or, in a terminal, some seconds long and without a network:", width="content")
        st.code("python -m cnnviz train --model lenet5 --dataset digits --epochs 5", language=None)
    published_trade(asked)


def no_match(count: int) -> None:
    """Draw that the filters leave none of `count` runs."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-no-match"):
        st.markdown(f"None of the {count:,} run{'' if count == 1 else 's'} is like that.", width="content")
        st.button("Show all", key="runs-show-all", on_click=_show_all)


def none_deleted() -> None:
    """Draw that nothing is deleted."""
    st.caption("No run is deleted. What is deleted is kept here until it is removed for good.")


def _show_all() -> None:
    state.change(**dict.fromkeys(FILTERS))
