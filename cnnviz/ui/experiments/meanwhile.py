"""What the small form of an experiment says, for those who look at the large one, which ships no answer."""

from __future__ import annotations

import streamlit as st

from cnnviz.experiments.catalogue import Ready
from cnnviz.experiments.recorded import names, recording
from cnnviz.experiments.table import verdict_lines
from cnnviz.figures.experiment import experiment as picture
from cnnviz.figures.experiment import experiment_alt, height
from cnnviz.ui import notice
from cnnviz.ui.components.plot import plot


def meanwhile(ready: Ready) -> None:
    """Draw it; nothing where none ships."""
    if ready.name not in names():
        return
    result = recording(ready.name).result
    st.subheader("Meanwhile, what the small form says", anchor=False)
    plot(
        picture(result), key=f"experiment-{ready.name}-small", height=height(result),
        alt=experiment_alt(result), name=f"experiment-{ready.name}", picks=False,
    )  # fmt: skip
    for line in verdict_lines(result):
        st.markdown(notice.plain(line))
    st.caption(f"What it cannot tell: {ready.limits}")
