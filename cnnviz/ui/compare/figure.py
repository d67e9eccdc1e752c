"""The figure of the page: totals and profiles on shared scales, and the choice of scale."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.figures.side_by_side import side_by_side
from cnnviz.ui import notice, url_state
from cnnviz.ui.components.side_by_side import side_by_side_chart
from cnnviz.ui.data import Shown

SCALES = {"shared": "One scale for all", "own": "Each its own"}
KEY = "scale"


def figure(shown: Sequence[Shown], names: Sequence[str], batch: int) -> None:
    """Draw the figure."""
    chosen, wrong = url_state.choice(KEY, tuple(SCALES), "shared")
    notice.say([wrong] if wrong else [])
    named = [(name, one.analysis) for name, one in zip(names, shown, strict=True)]
    drawn = side_by_side(named, batch, own_scale=chosen == "own")
    side_by_side_chart(drawn, name="side-by-side", key="side-by-side")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.session_state[KEY] = chosen
        st.segmented_control(
            "Scale of the layers",
            list(SCALES),
            format_func=lambda scale: SCALES[scale],
            key=KEY,
            on_change=_rescaled,
            label_visibility="collapsed",
        )
        st.caption(
            "Above, the totals on one scale. Below each, its layers from input to output: on one scale the "
            "models can be compared, on its own each shows where it spends.",
            width="stretch",
        )


def _rescaled() -> None:
    chosen = st.session_state[KEY]
    url_state.change(scale=chosen if chosen == "own" else None)
