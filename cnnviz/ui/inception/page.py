"""The page in its parts, top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import models
from cnnviz.ui import chrome, notice, url_state
from cnnviz.ui.inception import state
from cnnviz.ui.inception.auxiliary import auxiliary
from cnnviz.ui.inception.bar import inception_bar
from cnnviz.ui.inception.branches import branches
from cnnviz.ui.inception.classes import classes
from cnnviz.ui.inception.reduction import reduction
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.blocks import blocks_of
from cnnviz.ui.inside.onwards import onwards
from cnnviz.ui.inside.question import question
from cnnviz.ui.inside.room import kept_free
from cnnviz.ui.inside.weights import Network, network
from cnnviz.ui.pictures.prepared import Prepared

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

CSS = Path(__file__).with_name("inception.css")
PAGE_HEIGHT = 900
"""Pixels, kept free while the first network is loaded."""
DRAWN, VIEW = "inception-drawn", "inception-view"


def inception() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    with kept_free(DRAWN, PAGE_HEIGHT):
        current = network(state.PREFERRED)
        found = blocks_of(current)
    asked = state.current(current, found)
    inception_bar(current, found, asked)
    if asked.block is None:
        notice.say([*url_state.current().problems, *current.problems, *asked.problems])
        _no_blocks(current)
        reduction(current, asked.reduction, None)
        return
    ready = question(current, asked.problems).ready
    _choose_view(asked.view)
    _view(current, ready, found, asked.block, asked)
    onwards(current, "inception", asked.block.name)


def _choose_view(view: str) -> None:
    st.session_state[VIEW] = view
    st.segmented_control(
        "View",
        list(state.VIEWS),
        format_func=state.VIEWS.__getitem__,
        key=VIEW,
        on_change=lambda: put(view=None if st.session_state[VIEW] == "branches" else st.session_state[VIEW]),
        required=True,
        label_visibility="collapsed",
    )


def _view(
    current: Network, ready: Prepared, found: tuple[Block, ...], block: Block, asked: state.Asked
) -> None:
    if asked.view == "branches":
        branches(current, ready, block, asked)
    elif asked.view == "classes":
        classes(current, found, block)
    elif asked.view == "reduction":
        reduction(current, asked.reduction, block)
    else:
        auxiliary(current, ready)


def _no_blocks(current: Network) -> None:
    first = models.get(state.PREFERRED[0])
    st.info(
        f"{notice.plain(current.loaded.name)} has no inception blocks; what they are made of is shown below.",
        icon=":material/info:",
    )
    chrome.link(
        "inception", f"Look into {first.title}, which has nine", icon=":material/call_split:",
        model=first.name, weights=None, run=None, layer=None,
    )  # fmt: skip
