"""Room for a page while the first network is loaded."""

from __future__ import annotations

import contextlib

import streamlit as st


def kept_free(key: str, height: int) -> contextlib.AbstractContextManager[object]:
    """`height` pixels on a first visit, which may have to wait for torch; nothing that jumps later.

    `key` is the page's own.
    """
    if key in st.session_state:
        st.empty()  # holds the skeleton's place, without which all that follows would be drawn anew
        return contextlib.nullcontext()
    st.session_state[key] = True
    return st.skeleton(height=height)
