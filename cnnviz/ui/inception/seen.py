"""What a block does with the picture, and what the answer is without branches: worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.interpret.maps import Floats
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block, BlockLook


def look(network: Network, ready: Prepared, block: Block) -> BlockLook:
    """The block at work on the picture."""
    return _look(network.stamp, ready.digest, block.name, network, ready, block)


@RESULTS.cached()
def _look(
    stamp: str, digest: str, name: str, _network: Network, _ready: Prepared, _block: Block
) -> BlockLook:
    from cnnviz.interpret.branches import look

    return look(_network.loaded.model, _ready.tensor, _block)


def without(network: Network, ready: Prepared, branches: tuple[str, ...]) -> Floats:
    """Probabilities `(classes,)` where these modules give zeros."""
    return _without(network.stamp, ready.digest, branches, network, ready)


@st.cache_data(max_entries=512, show_spinner=False)
def _without(
    stamp: str, digest: str, branches: tuple[str, ...], _network: Network, _ready: Prepared
) -> Floats:
    from cnnviz.interpret.branches import without

    found: Floats = without(_network.loaded.model, _ready.tensor, branches)[0].numpy()
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def ways(stamp: str, name: str, _network: Network, _block: Block) -> tuple[str, ...]:
    """What each branch does, in words: `1×1 to 96 maps, 3×3 to 128`."""
    from torch import nn

    told = []
    for branch in _block.branches:
        steps = []
        for part in _network.loaded.model.get_submodule(branch.name).modules():
            if isinstance(part, nn.Conv2d):
                steps.append(f"{numbers.shape(part.kernel_size)} to {part.out_channels}")
            elif isinstance(part, nn.MaxPool2d):
                steps.append("largest of 3×3")
        told.append(", then ".join(steps))
    return tuple(told)
