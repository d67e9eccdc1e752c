"""What the static checks found in a network, as boxes: errors and warnings in full, notes in a line each."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.analysis.checks import Problem
from cnnviz.ui import notice

MOST = 4
"""Boxes; of more the rest is counted, so that a page stays readable."""


def problem_boxes(problems: Sequence[Problem], *, notes: bool = True) -> None:
    """Draw a box for each error and warning, and a caption for each note if `notes`."""
    loud = [one for one in problems if one.severity != "note"]
    for one in loud[:MOST]:
        text = f"**{notice.plain(one.title)}.** {notice.plain(one.message)} {notice.plain(one.fix)}"
        if one.severity == "error":
            st.error(text, icon=":material/error:")
        else:
            st.warning(text, icon=":material/warning:")
    if len(loud) > MOST:
        st.caption(f"And {len(loud) - MOST} more; `cnnviz check` lists them all.")
    for one in [one for one in problems if one.severity == "note"] if notes else []:
        st.caption(f":material/info: {notice.plain(one.message)} {notice.plain(one.fix)}")
