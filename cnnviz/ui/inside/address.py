"""Writing to the URL from the pages that look inside."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import url_state


def put(**changes: str | None) -> None:
    """Write to the URL, for use in callbacks. A model that is not in it stays out: the weights say which."""
    if "model" not in st.query_params:
        changes.setdefault("model", None)
    url_state.change(**changes)
