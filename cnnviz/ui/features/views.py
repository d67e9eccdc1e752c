"""The views of one layer, one at a time: its maps, its arithmetic, its filters, what excites it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.ui import notice
from cnnviz.ui.components.mosaic import feature_mosaic
from cnnviz.ui.features import maps
from cnnviz.ui.features.arithmetic import arithmetic
from cnnviz.ui.features.excites import excites
from cnnviz.ui.features.filters import filters
from cnnviz.ui.features.space import space
from cnnviz.ui.features.state import VIEWS, Asked
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.pictures.steps import preprocessing_steps
from cnnviz.ui.url_state import unless

ORDER_WORDS = {
    "index": "Order: by number",
    "activity": "Order: by activity",
    "spread": "Order: by spread",
    "similarity": "Order: alike together",
}
VIEW, PICKED = "features-view", "features-picked"
DEFAULTS = {"order": "index", "range": "layer"}
RANGE_WORDS = {
    "map": "Colours: of each map",
    "layer": "Colours: of the layer",
    "network": "Colours: of the network",
}


def views(network: Network, ready: Prepared, asked: Asked, own: Preprocessing) -> None:
    """Draw the choice of views and the one that is chosen; `own` is how the network's pictures go in."""
    known: dict[str, Callable[[], None]] = {
        "maps": partial(_maps, network, ready, asked),
        "arithmetic": partial(arithmetic, network, ready, asked),
        "filters": partial(filters, network, asked),
        "excites": partial(excites, network, asked),
        "space": partial(space, network, asked),
        "input": partial(preprocessing_steps, ready, own),
    }
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="features-look"):
        _choose_view(asked, list(known))
        if asked.view == "maps":
            _choice("order", "Order", ORDER_WORDS, asked.order)
            _choice("range", "What the colours span", RANGE_WORDS, asked.range)
    try:
        known[asked.view]()
    except ValueError as error:
        st.info(notice.plain(str(error)), icon=":material/info:")


def _choose_view(asked: Asked, known: list[str]) -> None:
    st.session_state[VIEW] = asked.view
    st.segmented_control(
        "View",
        known,
        format_func=VIEWS.__getitem__,
        key=VIEW,
        on_change=lambda: put(view=unless(st.session_state[VIEW], "maps")),
        required=True,
        label_visibility="collapsed",
    )


def _maps(network: Network, ready: Prepared, asked: Asked) -> None:
    # What was picked in the mosaic is enlarged there already: it need not be sent anew to say so.
    chosen = None if asked.channel == st.session_state.get(PICKED) else asked.channel
    packet = maps.view_packet(network, ready, asked.layer, asked.order, asked.range, chosen)
    feature_mosaic(packet, key="features-mosaic", on_select=_picked)


def _picked(channel: int) -> None:
    st.session_state[PICKED] = channel
    put(channel=str(channel))


def _choice(name: str, label: str, words: dict[str, str], chosen: str) -> None:
    key = f"features-{name}"
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(words),
        format_func=words.__getitem__,
        key=key,
        on_change=lambda: put(**{name: unless(st.session_state[key], DEFAULTS[name])}),
        label_visibility="collapsed",
        width=230,
    )
