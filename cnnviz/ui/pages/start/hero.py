"""Hero of the Start page: a shipped network classifies a drawn digit in the browser."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled
from cnnviz.models import get
from cnnviz.ui.components.digit_network import FIRST, DigitNetwork, digit_network
from cnnviz.ui.shared.layout import link

WEIGHTS = "lenet5-mnist"


def hero() -> None:
    """Draw the pad and a link to the network view; a sentence if the network's weights do not ship."""
    try:
        network = shipped()
    except InferenceError as error:
        st.info(f"{error} Feature maps shows the inside of your own runs.", icon=":material/info:")
        return
    digit_network(network, key="hero")
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="hero-foot"):
        st.markdown(caption(network), width="content")
        link(
            "features",
            "The whole network on one screen, and how each value comes about",
            icon=":material/arrow_forward:",
            view="network",
            weights=f"checkpoint:{WEIGHTS}",
            picture=f"sample:digit-{FIRST}",
            model=None,
            layer=None,
        )


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
