"""Drawing pad for a digit, with mouse, touch, pen or arrow keys: light ink on dark, as in MNIST."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import streamlit as st

from cnnviz.ui.components import component

HERE = Path(__file__).parent
HEIGHT = 330
MAX_BYTES = 400_000
"""Maximum size of a drawing that a browser may send."""


def drawing_pad(*, key: str) -> bytes | None:
    """Draw the pad; return the drawing as a PNG file of 280×280 pixels, None if it is empty.

    It returns the drawing after the last stroke, also after the visitor was on other pages. The bytes come
    from a browser and are untrusted: they must be decoded as an upload is.
    """
    state_key = f"{key}-kept"

    def drew() -> None:
        st.session_state[state_key] = st.session_state[key].get("drawing")

    stored = st.session_state.get(state_key)
    strokes = stored.get("strokes", []) if isinstance(stored, dict) else []
    component("drawing_pad", HERE, css="strokes.css", js=("canvas.js", "strokes.js", "pad.js"))(
        key=key, data={"strokes": strokes}, height=HEIGHT, on_drawing_change=drew
    )
    return _png(stored)


def put_drawing(drawing: object, *, key: str) -> bytes | None:
    """Put a drawing of another pad, as a browser sent it, on the pad `key`; return it as a PNG file.

    Return None, and leave the pad as it is, if it is not a drawing.
    """
    png = _png(drawing)
    if png is not None:
        st.session_state[f"{key}-kept"] = drawing
    return png


def _png(known: object) -> bytes | None:
    text = known.get("png") if isinstance(known, dict) else None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_BYTES:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
