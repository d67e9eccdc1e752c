"""The paired runs as a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.diagnosis.recorded.table import Arm
from cnnviz.experiments.verdict import points
from cnnviz.figures.numbers import percent


def told(arms: Sequence[Arm]) -> None:
    """Draw a row for each arm, the failing recipe first."""
    st.dataframe(
        {
            "changed": [arm.name for arm in arms],
            "runs": [arm.n for arm in arms],
            "steps": [arm.steps for arm in arms],
            "training loss": [f"{arm.loss:.3f}" for arm in arms],
            "test accuracy": [percent(arm.accuracy, 1) for arm in arms],
            "gain, in points": [gained(arm) for arm in arms],
            "commonest answer": [percent(arm.largest_share) for arm in arms],
            "one answer for nearly all": [f"{arm.collapsed} of {arm.n}" for arm in arms],
        },
        hide_index=True,
        height="content",
    )


def gained(arm: Arm) -> str:
    """`+11.2 ± 1.9`, without an interval where there is nothing to judge it by; empty for the base."""
    if arm.gain is None:
        return ""
    half = "" if arm.gain.half is None else f" ± {100 * arm.gain.half:.1f}"
    return f"{points(arm.gain.mean)}{half}"
