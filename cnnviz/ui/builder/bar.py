"""The bar of the Build page: what the design starts from, its input and classes, and what to do with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.models import edit
from cnnviz.models.layers import LayerList
from cnnviz.ui import notice, url_state
from cnnviz.ui.builder import state
from cnnviz.ui.builder.shelf import open_popover, save_popover
from cnnviz.ui.builder.state import Design
from cnnviz.ui.model_bar import CSS, share
from cnnviz.ui.model_picker import model_picker

OWN_CSS = Path(__file__).with_name("builder.css")
KEY = "what-name"


def builder_bar(design: Design) -> None:
    """Draw the bar, and a notice of what is wrong in the URL or could not be done."""
    st.html(CSS)
    st.html(OWN_CSS)
    document = design.document
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        model_picker("Start from", design.base.name, key=KEY, on_change=_start, width=300)
        _field(
            "size",
            "input",
            numbers.shape(document.input),
            "Channels × height × width of the input, such as 3x32x32.",
            partial(_set_input, document),
            170,
        )
        _field(
            "classes",
            "classes",
            str(document.classes),
            "How many classes the network tells apart; the width of a last layer of 'one unit a class'.",
            partial(_set_classes, document),
            142,
        )
        _field(
            "batch",
            "batch",
            str(design.batch),
            "Images at a time. Memory for activations grows with it.",
            _set_batch,
            128,
        )
        open_popover()
        save_popover(design)
        share()
    notice.say([*design.problems, *notice.kept()])


def _field(
    name: str, label: str, value: str, explanation: str, write: Callable[[str], None], width: int
) -> None:
    key = f"what-{name}"
    st.session_state[key] = value
    st.text_input(
        label,
        key=key,
        help=explanation,
        on_change=lambda: write(str(st.session_state[key]).strip()),
        width=width,
    )


def _start() -> None:
    state.start_from(st.session_state[KEY])


def _set_input(document: LayerList, text: str) -> None:
    sides = [int(side) for side in re.findall(r"[0-9]{1,6}", text)]
    if not re.fullmatch(r"[\s0-9x×X*]+", text) or not 1 <= len(sides) <= 3:
        notice.later(
            f"An input cannot be {url_state.quoted(text)}; write 3x32x32 (channels, height, width) or 32."
        )
        return
    # One number is a square, two are height and width; the channels stay.
    shape = (document.input[0], sides[0], sides[-1]) if len(sides) < 3 else tuple(sides)
    state.attempt(lambda: edit.describe(document, input=shape))


def _set_classes(document: LayerList, text: str) -> None:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        notice.later(f"The number of classes cannot be {url_state.quoted(text)}; it is a whole number.")
        return
    state.attempt(lambda: edit.describe(document, classes=int(text)))


def _set_batch(text: str) -> None:
    url_state.change(batch=text or None)
