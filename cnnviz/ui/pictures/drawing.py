"""What this visitor drew or took with the camera last, kept as a file."""

from __future__ import annotations

import streamlit as st

DRAWN, TAKEN = "pictures-drawn", "pictures-camera"


def kept() -> bytes | None:
    """The drawing as a PNG file; None where nothing is drawn."""
    found: bytes | None = st.session_state.get(DRAWN)
    return found


def emptied() -> bool:
    """Whether this visitor has had the pad, and nothing is on it."""
    return DRAWN in st.session_state and st.session_state[DRAWN] is None


def keep(data: bytes | None) -> bool:
    """Keep a drawing, or that there is none; whether it is another than before."""
    other: bool = data != st.session_state.get(DRAWN)
    st.session_state[DRAWN] = data
    return other


def taken() -> bytes | None:
    """The camera's picture as a file."""
    found: bytes | None = st.session_state.get(TAKEN)
    return found


def keep_taken(data: bytes) -> bool:
    """Keep the camera's picture; whether it is another than before."""
    other: bool = data != st.session_state.get(TAKEN)
    st.session_state[TAKEN] = data
    return other
