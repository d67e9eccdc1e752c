"""The bar on top: which network, which block; share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.ui import model_bar
from cnnviz.ui.inception.state import Asked, choose_block, short
from cnnviz.ui.inside.chooser import weights_chooser
from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

BLOCK = "inception-block"


def inception_bar(network: Network, found: tuple[Block, ...], asked: Asked) -> None:
    """Draw it."""
    st.html(model_bar.CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        weights_chooser(network)
        if asked.block is not None:
            _blocks(network, found, asked.block)
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            model_bar.share()


def _blocks(network: Network, found: tuple[Block, ...], chosen: Block) -> None:
    labels = {block.name: f"Block {short(block.name)} · {_shape(network, block)}" for block in found}
    names = list(labels)
    place = names.index(chosen.name)
    _step("before", "left", names, place - 1)
    st.session_state[BLOCK] = chosen.name
    st.selectbox(
        "Block",
        names,
        format_func=lambda name: labels.get(name, name),
        key=BLOCK,
        on_change=lambda: choose_block(st.session_state[BLOCK]),
        required=True,
        label_visibility="collapsed",
        width=240,
    )
    _step("after", "right", names, place + 1)


def _shape(network: Network, block: Block) -> str:
    return numbers.shape(network.analysis.row(block.name).output_shape)


def _step(label: str, side: str, names: list[str], to: int) -> None:
    there = 0 <= to < len(names)
    st.button(
        f":material/chevron_{side}:",
        key=f"inception-block-{label}",
        help=f"Block {label}: {short(names[to])}" if there else f"Block {label}",
        disabled=not there,
        on_click=choose_block,
        args=(names[to] if there else "",),
        type="tertiary",
    )
