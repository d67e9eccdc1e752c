"""Guard: reloads a page that Streamlit's client has left blank, with the selection in its URL.

If a fragment ticks before a newer run of the script has drawn as far as it, the client of Streamlit 1.67 may
fail with "Bad delta path index 7 (should be between [0, 3])" and leave a blank page: seen once in some ten
minutes of ticks, on a machine so busy that they came late.
"""

from pathlib import Path

import streamlit as st

from cnnviz.ui.components.shared import component

HERE = Path(__file__).parent
KEY = "guard"


def guard() -> None:
    """Watch over the page; nothing is drawn."""
    with st.container(key=KEY):
        component("guard", HERE, js=("guard.js",), html="")(key="guard-watch", data={}, height="content")
