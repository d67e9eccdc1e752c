"""Every model in one picture, each point a link to its anatomy."""

from __future__ import annotations

import streamlit as st

from cnnviz.figures.landscape import landscape, landscape_words
from cnnviz.ui.components.landscape import landscape_chart
from cnnviz.ui.data import overview


def all_models() -> None:
    """Draw the models; a click opens the Architecture page with the one that was clicked."""
    known = overview().values()
    picked = landscape_chart(landscape(known), alt=landscape_words(known), key="landscape")
    if picked is not None:
        st.switch_page("architecture.py", query_params={"model": picked})
