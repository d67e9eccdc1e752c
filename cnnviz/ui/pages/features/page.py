"""Feature maps page: views of one layer (maps, arithmetic, filters, …), or of the whole network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from cnnviz.analysis import worked_numbers
from cnnviz.analysis.types import KIND_TITLES
from cnnviz.figures import numbers
from cnnviz.figures.architecture import receptive_words
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.interpret.layer_names import Layer, selectable_layers
from cnnviz.ui.components.feature_maps import feature_mosaic
from cnnviz.ui.pages.features import maps, state
from cnnviz.ui.pages.features.dataset_views import space, top_activating_images
from cnnviz.ui.pages.features.maps import arithmetic, preprocessing_steps, strip
from cnnviz.ui.pages.features.network import filters, whole_network
from cnnviz.ui.pages.features.state import NETWORK, VIEWS, PageState, choose_layer
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection.inspect_header import (
    choose_image,
    choose_image_folded,
    inside_bar,
    next_links,
    reserve_height,
    stepper,
)
from cnnviz.ui.shared.inspection.model_input import Network, network
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage, draw_hints
from cnnviz.ui.shared.url_state import change_without_model, unless

# The bar on top: network, layer; share.


def features_bar(network: Network, page_state: PageState) -> None:
    """Draw the bar."""
    named = {layer.name: label(layer) for layer in selectable_layers(network.analysis).values()}
    with inside_bar(network):
        stepper("Layer", named, page_state.layer.name, key="features-layer", width=330, choose=choose_layer)


def label(layer: Layer) -> str:
    """Format a layer for the list: name, kind, output shape."""
    return f"{layer.name or '(model)'} · {KIND_TITLES[layer.kind]} · {numbers.shape(layer.output_shape)}"


# Description of the selected layer, and links.


def inspector(network: Network, page_state: PageState) -> None:
    """Draw a line on the layer, and links that carry it along."""
    analysis = network.analysis
    row = next((row for row in analysis.rows if row.name == page_state.layer.row), None)
    if row is not None:
        side = (analysis.input_shape[1], analysis.input_shape[2])
        words = f"{worked_numbers.in_words(row)} {receptive_words(row, side)}"
        shapes = f"{numbers.shape(row.input_shape)} → {numbers.shape(row.output_shape)}"
        name = notice.escape(page_state.layer.name or "(model)")
        st.markdown(f"**{name}** · {shapes} · {notice.escape(words)}")
    next_links(network, "features", row.name if row is not None else None)


# The views of one layer: maps, arithmetic, filters, top-activating images, embedding, preprocessing.

ORDER_WORDS = {
    "index": "Order: by number",
    "activity": "Order: by activity",
    "spread": "Order: by standard deviation",
    "similarity": "Order: alike together",
}
VIEW, PICKED = "features-view", "features-picked"
DEFAULTS = {"order": "index", "range": "layer"}
RANGE_WORDS = {
    "map": "Colors: of each map",
    "layer": "Colors: of the layer",
    "network": "Colors: of the network",
}


def views(network: Network, ready: PreprocessedImage, page_state: PageState, own: Preprocessing) -> None:
    """Draw the choice of views and the selected one; `own` is the network's own preprocessing."""
    known: dict[str, Callable[[], None]] = {
        "maps": partial(_maps, network, ready, page_state),
        "arithmetic": partial(arithmetic, network, ready, page_state),
        "filters": partial(filters, network, page_state),
        "excites": partial(top_activating_images, network, page_state),
        "space": partial(space, network, page_state),
        "input": partial(preprocessing_steps, ready, own),
    }
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="features-look"):
        _choose_view(page_state)
        if page_state.view == "maps":
            with st.container(horizontal=True, gap="small", width="content", key="features-order-and-range"):
                _choice("order", "Order", ORDER_WORDS, page_state.order)
                _choice("range", "What the colors span", RANGE_WORDS, page_state.range)
    try:
        known[page_state.view]()
    except ValueError as error:
        st.info(notice.escape(str(error)), icon=":material/info:")


def _choose_view(page_state: PageState) -> None:
    st.session_state[VIEW] = page_state.view
    st.segmented_control(
        "View",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        key=VIEW,
        on_change=lambda: change_without_model(view=unless(st.session_state[VIEW], "maps"), open=None),
        required=True,
        wrap=True,
        label_visibility="collapsed",
    )


def _maps(network: Network, ready: PreprocessedImage, page_state: PageState) -> None:
    # A channel picked in the mosaic is enlarged there already, so the packet need not change.
    chosen = None if page_state.channel == st.session_state.get(PICKED) else page_state.channel
    packet = maps.view_packet(network, ready, page_state.layer, page_state.order, page_state.range, chosen)
    feature_mosaic(packet, key="features-mosaic", on_select=_picked)


def _picked(channel: int) -> None:
    st.session_state[PICKED] = channel
    change_without_model(channel=str(channel))


def _choice(name: str, label: str, words: dict[str, str], chosen: str) -> None:
    key = f"features-{name}"
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(words),
        format_func=words.__getitem__,
        key=key,
        on_change=lambda: change_without_model(**{name: unless(st.session_state[key], DEFAULTS[name])}),
        label_visibility="collapsed",
        width=215,
    )


# The whole network on one screen, with the controls above it collapsed.


def network_on_one_screen(network: Network, page_state: PageState) -> None:
    """Draw bar, views and image in one row each, and the network below."""
    with inside_bar(network):
        pass
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="features-look"):
        _choose_view(page_state)
        about = choose_image_folded(network, page_state.problems)
    whole_network(network, about.ready, page_state)
    draw_hints(network, about.picture, about.ready, about.own)
    next_links(network, "features")


CSS = Path(__file__).with_name("features.css")
PAGE_HEIGHT = 900
"""Pixels reserved while the first network is loaded."""
DRAWN = "features-drawn"


def features() -> None:
    """Draw the page for its URL."""
    st.html(CSS)
    with reserve_height(DRAWN, PAGE_HEIGHT):
        current = network()
    page_state = state.current(current)
    if page_state.view == NETWORK:
        network_on_one_screen(current, page_state)
        return
    features_bar(current, page_state)
    about = choose_image(current, page_state.problems)
    strip(current, about.ready, page_state)
    views(current, about.ready, page_state, about.own)
    inspector(current, page_state)
