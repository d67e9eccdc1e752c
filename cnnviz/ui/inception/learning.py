"""How the auxiliary classifiers learned: the loss of each beside the one that the run made small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures.curves import Line, Panel, curves, curves_alt
from cnnviz.figures.heads import head_lines
from cnnviz.figures.palette import COMPARED
from cnnviz.ui import chrome
from cnnviz.ui.components.plot import plot
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.runs import reading, store

if TYPE_CHECKING:
    from cnnviz.figures.smoothing import Floats
    from cnnviz.tracking import Run

RUN = "run:"
SMOOTHING, HEIGHT = 0.02, 320


def learning(network: Network) -> None:
    """Draw the curves of the network's run; without any, say why and lead to training."""
    run = _run(network.reference)
    heads = [] if run is None else head_lines(lambda metric: _points(run, metric))
    if run is None or not heads:
        _missing(network, run)
        return
    trained = _points(run, "train/loss")
    whole = [] if trained is None else [Line("the loss that is trained", *trained, "train", COMPARED[0])]
    panel = Panel("loss", [*whole, *heads])
    st.subheader("How they learned", anchor=False)
    st.caption(
        "The loss that is trained is the network's own and a share of each classifier's. Look whether "
        "the first classifier, which has fewer layers to work with, stays behind the second."
    )
    plot(
        curves([panel], x_title="epoch", smoothing=SMOOTHING), key="inception-learning", height=HEIGHT,
        alt=curves_alt([panel], "epoch"), name=f"run-{run.id}-auxiliary-losses", picks=False,
    )  # fmt: skip


def _missing(network: Network, run: Run | None) -> None:
    if run is None:
        st.caption("Runs record the loss of each classifier; these weights are of no run, so there is none.")
    else:
        st.caption("This run was trained before runs recorded the loss of each classifier, so there is none.")
    chrome.link(
        "train", "Train it and see", icon=":material/play_arrow:", model=network.loaded.spec.name, run=None,
        weights=None,
    )  # fmt: skip


def _run(reference: str) -> Run | None:
    from cnnviz import tracking

    if not reference.startswith(RUN):
        return None
    return tracking.get_run(store.database(), int(reference.removeprefix(RUN).partition("/")[0]))


def _points(run: Run, metric: str) -> tuple[Floats, Floats] | None:
    curve = reading.curve(run, metric).curve
    return (curve.epochs, curve.values) if len(curve) else None
