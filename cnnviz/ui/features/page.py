"""The page in its parts, top to bottom."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.ui.features import state
from cnnviz.ui.features.bar import features_bar
from cnnviz.ui.features.inspector import inspector
from cnnviz.ui.features.strip import strip
from cnnviz.ui.features.views import views
from cnnviz.ui.inside.question import question
from cnnviz.ui.inside.room import kept_free
from cnnviz.ui.inside.weights import network

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
    about = question(current, asked.problems)
    strip(current, about.ready, asked)
    views(current, about.ready, asked, about.own)
    inspector(current, asked)
