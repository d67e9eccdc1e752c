"""The page in its parts, top to bottom."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.ui import notice, url_state
from cnnviz.ui.features import state
from cnnviz.ui.features.bar import features_bar
from cnnviz.ui.features.inspector import inspector
from cnnviz.ui.features.strip import strip
from cnnviz.ui.features.views import views
from cnnviz.ui.inside.answers import answers, doubts
from cnnviz.ui.inside.room import kept_free
from cnnviz.ui.inside.weights import network
from cnnviz.ui.pictures import overrides
from cnnviz.ui.pictures.chooser import picture_chooser
from cnnviz.ui.pictures.chosen import chosen
from cnnviz.ui.pictures.prepared import prepared
from cnnviz.ui.pictures.state import Asked

CSS = Path(__file__).with_name("features.css")
PAGE_HEIGHT = 900
"""Pixels, kept free while the first network is loaded."""
DRAWN = "features-drawn"


def features() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    with kept_free(DRAWN, PAGE_HEIGHT):
        current = network()
    asked = state.current(current)
    features_bar(current, asked)
    which, picture, wrong = chosen(current)
    own = fitting(current.loaded.preprocessing, which)
    how, mismatch = overrides.read(st.query_params.get("prep"), own)
    said = [*url_state.current().problems, *current.problems, *asked.problems, *wrong, *notice.kept()]
    notice.say([*said, mismatch] if mismatch else said)
    ready = prepared(picture, how)
    left, right = st.columns([0.68, 0.32], gap="large")
    with left:
        picture_chooser(current, which)
    with right:
        answers(current, ready)
        doubts(current, picture, ready)
    strip(current, ready, asked)
    views(current, ready, asked, own)
    inspector(current, asked)


def fitting(own: Preprocessing, which: Asked) -> Preprocessing:
    """The network's own preprocessing; a digit that was drawn is centred as the digits it learned from."""
    return own.changed(centre=True) if which.kind == "drawn" and own.channels == 1 else own
