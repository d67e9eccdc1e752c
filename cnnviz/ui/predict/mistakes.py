"""Which class is taken for which, where the true classes are known."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from cnnviz.figures.confusion import confusion, confusion_alt
from cnnviz.figures.palette import COMPARED, ramp
from cnnviz.ui.components.plot import plot
from cnnviz.ui.predict.judged import Judged

HEIGHTS = {1: 480, 2: 460, 3: 380, 4: 330}
MOST = 60
"""Classes that a matrix can show."""


def mistakes(judged: Judged) -> None:
    """Draw a confusion matrix for each network that pictures could be counted for."""
    known = [place for place, one in enumerate(judged.evaluations) if one.counted]
    if not known:
        return
    st.subheader("Which class is taken for which", anchor=False)
    st.caption("A row is a true class, a column what the network said; on the diagonal it is right.")
    for column, place in zip(st.columns(len(known)), known, strict=True):
        with column:
            _matrix(judged, place, len(known))


def _matrix(judged: Judged, place: int, count: int) -> None:
    network, evaluation = judged.job.networks[place], judged.evaluations[place]
    counts = evaluation.confusion
    used = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if count > 1:
        st.html(f"<b>{escape(network.loaded.name)}</b>")
    if len(used) > MOST:
        st.caption(f"{len(used)} classes are too many for a matrix; the worst mistakes are listed below.")
        return
    classes = [evaluation.classes[index] for index in used]
    some = counts[np.ix_(used, used)]
    figure = confusion(some, classes)
    figure["data"][0]["colorscale"] = ramp(COMPARED[place])
    plot(
        figure, key=f"predict-confusion-{place}", height=HEIGHTS[count], picks=False,
        alt=f"{network.loaded.name}: {confusion_alt(some, classes)}", name="confusion",
    )  # fmt: skip
