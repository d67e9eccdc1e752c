"""Naive blocks in a row against reduced ones, and global average pooling against a dense layer."""

from __future__ import annotations

import streamlit as st

from cnnviz.analysis.reduction import ARTICLE_DENSE, dense_weights, last_maps, stages
from cnnviz.analysis.types import Analysis, Shape
from cnnviz.figures import numbers
from cnnviz.figures.growth import NAIVE, REDUCED, growth, growth_alt
from cnnviz.ui import chrome
from cnnviz.ui.components.plot import plot
from cnnviz.ui.inception.shares import Bar, bars
from cnnviz.ui.inside.weights import Network

NAIVE_MODEL, REDUCED_MODEL = "inception-naive", "googlenet"


@st.cache_resource(max_entries=2, show_spinner=False)
def _analysis(model: str) -> Analysis:
    from cnnviz.analysis import analyze

    return analyze(model)


def growing() -> None:
    """Draw what becomes of nine blocks in a row."""
    naive, reduced = _analysis(NAIVE_MODEL), _analysis(REDUCED_MODEL)
    without, having = stages(naive), stages(reduced)
    st.subheader("Nine blocks in a row", anchor=False)
    st.caption(
        "A naive block's pooling branch hands on every map that it is given, so each block is wider than the "
        f"last: {numbers.exact(without[0].channels)} maps leave the first and "
        f"{numbers.exact(without[-1].channels)} the last. In all that is {numbers.short(naive.total_params)} "
        f"parameters and {numbers.macs(naive.macs)}, against {numbers.short(reduced.total_params)} and "
        f"{numbers.macs(reduced.macs)} with reductions."
    )
    plot(
        growth(without, having), key="inception-growth", height=430, picks=False,
        alt=growth_alt(without, having), name="inception-growth",
    )  # fmt: skip
    chrome.link(
        "compare", "Compare both, layer by layer", icon=":material/compare_arrows:",
        models=f"{REDUCED_MODEL},{NAIVE_MODEL}",
    )  # fmt: skip


def pooling(network: Network) -> None:
    """Draw what a dense layer in place of global average pooling would weigh."""
    st.subheader("Global average pooling or a dense layer", anchor=False)
    st.caption(
        "Before the last layer every map becomes one number, its mean, which has no weights. A dense layer "
        "to as many numbers would have one for every value and every number."
    )
    own = last_maps(network.analysis)
    shapes = {"The article's": ARTICLE_DENSE} | ({network.loaded.name: own} if own is not None else {})
    for title, shape in shapes.items():
        _dense(title, shape)


def _dense(title: str, shape: Shape) -> None:
    channels, height, width = shape
    weights = dense_weights(shape)
    rows = [
        Bar("dense layer", 1, f"{numbers.short(weights)} weights", NAIVE),
        Bar("average pooling", 0, "0 weights", REDUCED),
    ]
    st.markdown(f"**{title}** · {height}·{width}·{channels} → {channels}")
    st.html(bars(rows, f"{title}: a dense layer has {numbers.exact(weights)} weights, average pooling 0"))
