"""The inception blocks of a network, found once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block


def blocks_of(network: Network) -> tuple[Block, ...]:
    """Those of the network, in order; none where it has none."""
    return _blocks(network.stamp, network)


@st.cache_resource(max_entries=16, show_spinner=False)
def _blocks(stamp: str, _network: Network) -> tuple[Block, ...]:
    from cnnviz.interpret.branches import blocks

    return blocks(_network.loaded.model, _network.analysis)
