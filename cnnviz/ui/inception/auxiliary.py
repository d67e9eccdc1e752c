"""The auxiliary classifiers: what each says to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED, Colour
from cnnviz.ui import chrome
from cnnviz.ui.inception.learning import learning
from cnnviz.ui.inception.shares import Bar, bars
from cnnviz.ui.inception.state import short
from cnnviz.ui.inside.answers import top
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.interpret.auxiliary import Answer

WITH_HEADS = "small-googlenet-32-aux"
FINAL, *HUES = COMPARED


def auxiliary(network: Network, ready: Prepared) -> None:
    """Draw them beside the network's own answer; a network without any is told, with one that has some."""
    with st.spinner(f"The picture goes through {network.loaded.name} …"):
        told = _answers(network.stamp, ready.digest, network, ready)
    if len(told) == 1:
        st.info("This network has no auxiliary classifiers.", icon=":material/info:")
        chrome.link(
            "inception", "SmallGoogLeNet with auxiliary classifiers", icon=":material/alt_route:",
            model=WITH_HEADS, weights=None, run=None, layer=None, view="auxiliary",
        )  # fmt: skip
        return
    st.caption(
        "Each reads the maps of a block half-way and is trained to give the whole answer, so that early "
        "layers hear of the error at first hand; a prediction leaves them out. Look how sure each is already."
    )
    for column, answer, hue in zip(st.columns(len(told), gap="large"), told, HUES, strict=False):
        with column:
            _answer(network, ready, answer, FINAL if not answer.name else hue)
    learning(network)


def _answer(network: Network, ready: Prepared, answer: Answer, hue: Colour) -> None:
    number = answer.name.removeprefix("aux")
    title = f"Auxiliary {number}, after block {short(answer.after)}" if answer.name else "The network itself"
    st.markdown(f"**{title}**")
    found = top(network, answer.probabilities[0])
    rows = [Bar(one.name, one.share, numbers.percent(one.share, 1), hue) for one in found]
    st.html(bars(rows, f"{title}: " + ", ".join(f"{row.title} {row.text}" for row in rows)))
    if ready.truth is not None:
        right = found[0].name == ready.truth
        st.caption("Right." if right else "Wrong.")


@RESULTS.cached()
def _answers(stamp: str, digest: str, _network: Network, _ready: Prepared) -> tuple[Answer, ...]:
    from cnnviz.interpret.auxiliary import answers

    return answers(_network.loaded.model, _ready.tensor)
