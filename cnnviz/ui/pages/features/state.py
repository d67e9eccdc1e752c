"""URL state of the Feature maps page: layer, view, order of channels, range of colors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

import streamlit as st

from cnnviz.interpret.layer_names import Layer, selectable_layers
from cnnviz.interpret.mosaic import ORDERS, RANGES, Order, Range
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.url_state import change_without_model, quoted

NETWORK = "network"
VIEWS = {
    NETWORK: ":material/hub: Network",
    "maps": ":material/apps: Maps",
    "arithmetic": ":material/calculate: Arithmetic",
    "filters": ":material/filter_center_focus: Filters",
    "excites": ":material/bolt: Top-activating images",
    "space": ":material/scatter_plot: Embedding",
    "input": ":material/input: Preprocessing",
}


@dataclass(frozen=True)
class PageState:
    """URL state of the page."""

    layer: Layer
    view: str
    order: Order
    range: Range
    channel: int | None
    problems: tuple[str, ...]
    opened: tuple[str, int | None] | None = None
    """The layer that is open in the network view, and its map."""


def current(network: Network) -> PageState:
    """Read the state from the page's URL; invalid parameters become problems."""
    known, problems = selectable_layers(network.analysis), []
    name = st.query_params.get("layer")
    name = "" if name == url_state.ROOT else name
    if name is not None and name not in known:
        problems.append(f"{network.loaded.name} gives nothing called {quoted(name)} to look at.")
        name = None
    layer = known[name] if name is not None else default_layer(known)
    view, wrong = url_state.choice("view", tuple(VIEWS), "maps")
    order, unordered = url_state.choice("order", ORDERS, "index")
    reach, beyond = url_state.choice("range", RANGES, "layer")
    problems += [sentence for sentence in (wrong, unordered, beyond) if sentence]
    channel = _channel(st.query_params.get("channel"), layer, problems)
    opened = st.query_params.get("open")
    return PageState(
        layer, view, cast(Order, order), cast(Range, reach), channel, tuple(problems),
        None if opened is None else (opened[:200], channel),
    )  # fmt: skip


def default_layer(known: dict[str, Layer]) -> Layer:
    """Return the default layer: the output of the first convolution."""
    convolutions = [
        layer for layer in known.values() if layer.kind == "conv" and len(layer.output_shape) == 3
    ]
    return next(iter(convolutions or known.values()))


def _channel(text: str | None, layer: Layer, problems: list[str]) -> int | None:
    if text is None or re.fullmatch(r"[0-9]{1,7}", text):
        return None if text is None else int(text)
    problems.append(f"“channel” cannot be {quoted(text)}, only a whole number from 0 on.")
    return None


def choose_layer(name: str) -> None:
    """Select a layer, for use in callbacks."""
    change_without_model(layer=url_state.layer_text(name), channel=None)
