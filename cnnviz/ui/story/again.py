"""From reading to doing: the failing recipe, the mended one, and the experiment, each a click away."""

from __future__ import annotations

import streamlit as st


def again() -> None:
    """Draw the links."""
    st.subheader("Try it yourself", anchor=False)
