"""The paired runs as a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.diagnosis.recorded.table import Arm
from cnnviz.ui.story.words import gained


def told(arms: Sequence[Arm]) -> None:
    """Draw a row for each arm, the failing recipe first."""
    share = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(
        {
            "changed": [arm.name for arm in arms],
            "runs": [arm.n for arm in arms],
            "steps": [arm.steps for arm in arms],
            "training loss": [arm.loss for arm in arms],
            "test accuracy": [100 * arm.accuracy for arm in arms],
            "gain, in points": [gained(arm) for arm in arms],
            "commonest answer": [100 * arm.largest_share for arm in arms],
            "one answer for nearly all": [f"{arm.collapsed} of {arm.n} runs" for arm in arms],
        },
        column_config={
            "changed": st.column_config.TextColumn(pinned=True),
            "steps": st.column_config.NumberColumn(format="localized"),
            "gain, in points": st.column_config.TextColumn(alignment="right"),
            "training loss": st.column_config.NumberColumn(format="%.3f"),
            "test accuracy": share,
            "commonest answer": share,
        },
        hide_index=True,
        height="content",
    )
