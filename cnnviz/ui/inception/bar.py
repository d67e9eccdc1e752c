"""The bar on top: which network, which block; share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures import numbers
from cnnviz.ui.inception.state import Asked, choose_block, short
from cnnviz.ui.inside.bar import inside_bar, stepper
from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block


def inception_bar(network: Network, found: tuple[Block, ...], asked: Asked) -> None:
    """Draw it."""
    named = {block.name: f"Block {short(block.name)} · {_shape(network, block)}" for block in found}
    with inside_bar(network):
        if asked.block is not None:
            stepper("Block", named, asked.block.name, key="inception-block", width=240, choose=choose_block)


def _shape(network: Network, block: Block) -> str:
    return numbers.shape(network.analysis.row(block.name).output_shape)
