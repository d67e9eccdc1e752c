"""The bar on top: which network, which layer; share."""

from __future__ import annotations

import streamlit as st

from cnnviz.analysis.types import KIND_TITLES
from cnnviz.figures import numbers
from cnnviz.interpret.names import Layer
from cnnviz.ui import model_bar
from cnnviz.ui.features.state import Asked, choose_layer, every_layer
from cnnviz.ui.inside.chooser import weights_chooser
from cnnviz.ui.inside.weights import Network

LAYER = "features-layer"


def features_bar(network: Network, asked: Asked) -> None:
    """Draw it."""
    st.html(model_bar.CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        weights_chooser(network)
        _layers(network, asked)
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            model_bar.share()


def _layers(network: Network, asked: Asked) -> None:
    known = every_layer(network.analysis)
    names = list(known)
    place = names.index(asked.layer.name)
    _step("before", "left", names, place - 1)
    st.session_state[LAYER] = asked.layer.name
    st.selectbox(
        "Layer",
        names,
        format_func=lambda name: label(known[name]) if name in known else name,
        key=LAYER,
        on_change=lambda: choose_layer(st.session_state[LAYER]),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a layer",
        width=330,
    )
    _step("after", "right", names, place + 1)


def label(layer: Layer) -> str:
    """A layer in the list: name, kind, shape of what it gives."""
    return f"{layer.name or '(model)'} · {KIND_TITLES[layer.kind]} · {numbers.shape(layer.output_shape)}"


def _step(label: str, side: str, names: list[str], to: int) -> None:
    there = 0 <= to < len(names)
    st.button(
        f":material/chevron_{side}:",
        key=f"features-layer-{label}",
        help=f"Layer {label}: {names[to] or '(model)'}" if there else f"Layer {label}",
        disabled=not there,
        on_click=choose_layer,
        args=(names[to] if there else "",),
        type="tertiary",
    )
