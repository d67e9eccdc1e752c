"""A pad to draw a digit on, with mouse, finger, pen or the arrow keys: light ink on dark, as MNIST has it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import streamlit as st

from cnnviz.ui.components.shared import component

HERE = Path(__file__).parent
HEIGHT = 330
MOST_BYTES = 400_000
"""Of what a browser may send as a drawing."""


def drawing_pad(*, key: str) -> bytes | None:
    """Draw the pad, and return what was drawn on it as the bytes of a PNG file, 280×280; None for nothing.

    It is the drawing as the last stroke left it, and stays while the visitor goes to other pages. What comes
    from a browser is anybody's: the bytes have to be read as an upload is.
    """
    kept = f"{key}-kept"

    def drew() -> None:
        st.session_state[kept] = st.session_state[key].get("drawing")

    known = st.session_state.get(kept)
    strokes = known.get("strokes", []) if isinstance(known, dict) else []
    component("drawing_pad", HERE, css="strokes.css", js=("canvas.js", "strokes.js", "pad.js"))(
        key=key, data={"strokes": strokes}, height=HEIGHT, on_drawing_change=drew
    )
    return _png(known)


def _png(known: object) -> bytes | None:
    text = known.get("png") if isinstance(known, dict) else None
    if not isinstance(text, str) or not 0 < len(text) <= MOST_BYTES:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
