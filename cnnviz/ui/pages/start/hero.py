"""Hero of the Start page: a shipped network classifies a drawn digit in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled
from cnnviz.models import get
from cnnviz.ui.components.digit_network import FIRST, DigitNetwork, digit_network
from cnnviz.ui.components.drawing_pad import put_drawing
from cnnviz.ui.shared.inspection import image_input
from cnnviz.ui.shared.inspection.image_chooser import PAD_KEY
from cnnviz.ui.shared.layout import link
from cnnviz.ui.shared.url_state import carried

WEIGHTS = "lenet5-mnist"


def hero() -> None:
    """Draw the pad and a link to the network view; a sentence if the network's weights do not ship."""
    try:
        network = shipped()
    except InferenceError as error:
        st.info(f"{error} Feature maps shows the inside of your own runs.", icon=":material/info:")
        return
    opened = digit_network(network, link=".st-key-hero-foot a", key="hero")
    if opened is not None:
        destination = {**carried(), **_network_view(_picture(opened))}
        st.switch_page("features.py", query_params={k: v for k, v in destination.items() if v is not None})
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="hero-foot"):
        st.markdown(caption(network), width="content")
        link(
            "features",
            "The whole network on one screen",
            icon=":material/arrow_forward:",
            **_network_view(f"sample:digit-{FIRST}"),
        )


def _network_view(picture: str) -> dict[str, str | None]:
    """Return the URL parameters of the network view with an image."""
    weights = f"checkpoint:{WEIGHTS}"
    return {"view": "network", "weights": weights, "picture": picture, "model": None, "layer": None}


def _picture(opened: Mapping[str, Any]) -> str:
    """Return how the URL names what was on the pad, after storing a drawing as the visitor's."""
    example = opened.get("example")
    if isinstance(example, int) and 0 <= example <= 9:
        return f"sample:digit-{example}"
    png = put_drawing(opened, key=PAD_KEY)
    if png is None:
        return f"sample:digit-{FIRST}"
    image_input.store_drawing(png)
    return "drawn"


def shipped() -> DigitNetwork:
    """Return the shipped network.

    Raises:
        InferenceError: Its weights are missing.
    """
    return _shipped(bundled.weights_path(WEIGHTS))


@st.cache_resource(max_entries=2, show_spinner=False)
def _shipped(_path: Path) -> DigitNetwork:
    card = bundled.card(WEIGHTS)
    return DigitNetwork(
        bundled.program(WEIGHTS), card.preprocessing, card.classes, get(card.recipe.model).title
    )


def caption(network: DigitNetwork) -> str:
    """Describe the network with its measured accuracy."""
    card = bundled.card(WEIGHTS)
    return (
        f"{network.name} with {card.params:,} parameters runs here in your browser; it reads "
        f"{100 * card.accuracy:.1f} % of {card.test_images:,} test digits of MNIST. "
        "Point at a map to enlarge it."
    )
