"""What to ask: by which method, for which class, at which layer, how strong the colours."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import notice
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.url_state import unless
from cnnviz.ui.why.found import cells
from cnnviz.ui.why.state import DEFAULT_OPACITY, Asked

METHOD, CLASS, LAYER, OPACITY = "why-method", "why-class", "why-layer", "why-opacity"
OWN = -1
"""In the list of classes: what the network itself says."""
LOOK = {
    "gradcam": "Look whether the bright part is the thing itself, and not what it stands on.",
    "saliency": "Look for edges of the thing; speckle all over says that no part matters much.",
    "integrated-gradients": "Look for orange on the thing: blue pixels speak for another class.",
    "occlusion": "Look for the patch the answer hangs on; blue says that covering it would help.",
}


def method_choice(asked: Asked) -> None:
    """Draw the choice of methods, and what the chosen one is in a sentence or two."""
    from cnnviz.interpret.attribution import MEANINGS, METHODS, TITLES

    st.session_state[METHOD] = asked.method
    st.segmented_control(
        "Method",
        METHODS,
        format_func=TITLES.__getitem__,
        key=METHOD,
        on_change=lambda: put(method=unless(st.session_state[METHOD], "gradcam")),
        required=True,
        label_visibility="collapsed",
    )
    st.caption(f"{MEANINGS[asked.method]} {LOOK[asked.method]}")


def settings(network: Network, asked: Asked, said: str) -> None:
    """Draw class, layer and opacity; `said` is what the network answers."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="why-settings"):
        _class(network, asked, said)
        if asked.method == "gradcam":
            _layer(network, asked)
        st.session_state[OPACITY] = asked.opacity
        st.slider(
            "Opacity of the map, %", 0, 100, key=OPACITY, step=5, width=220,
            on_change=lambda: put(opacity=unless(str(st.session_state[OPACITY]), str(DEFAULT_OPACITY))),
        )  # fmt: skip


def _class(network: Network, asked: Asked, said: str) -> None:
    names = network.loaded.classes
    st.session_state[CLASS] = OWN if asked.target is None else asked.target
    st.selectbox(
        "What speaks for",
        [OWN, *range(len(names))],
        format_func=lambda place: f"its answer: {said}" if place == OWN else names[place],
        key=CLASS,
        on_change=lambda: put(**{"class": unless(str(st.session_state[CLASS]), str(OWN))}),
        width=230,
    )


def _layer(network: Network, asked: Asked) -> None:
    from cnnviz.interpret.gradcam import default_layer

    known = cells(network)
    if not known:
        return
    try:
        own = default_layer(network.analysis)
    except ValueError:
        own = known[-1]
    st.session_state[LAYER] = asked.layer or own
    st.selectbox(
        "at the layer",
        known,
        format_func=lambda name: f"{name} (last block)" if name == own else name,
        key=LAYER,
        on_change=lambda: put(layer=unless(st.session_state[LAYER], own)),
        width=260,
        help=notice.plain(
            "Grad-CAM weighs the maps of this layer. Early layers see detail, late ones things."
        ),
    )
