"""Drawing a digit by mouse, touch, pen or arrow keys: a pad, and a network that reads what is drawn."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.samples import STROKES
from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.interpret.colormaps import SEQUENTIAL
from cnnviz.ui.components import component, packet

# Drawing pad: light ink on dark, as in MNIST.

DRAWING_PAD = Path(__file__).with_name("drawing_pad")
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
    component("drawing_pad", DRAWING_PAD, css="strokes.css", js=("canvas.js", "strokes.js", "pad.js"))(
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


# Digit network: a drawing pad whose digit is classified with every stroke, all layers shown, in the
# browser. The weights are sent once; after that the server is not involved.

DIGIT_NETWORK = Path(__file__).with_name("digit_network")
SCRIPTS = (
    "packet.js", "canvas.js", "strokes.js", "center_digit.js", "forward.js", "stages.js", "lens.js", "main.js"
)  # fmt: skip
CANVAS_SIDE = 280
"""Side of the pad in pixels, as in strokes.js."""
FIRST = 3
"""Index of the example shown before anything is drawn."""


@dataclass(frozen=True, eq=False)
class DigitNetwork:
    """A network of ten digit classes, and the preprocessing of a drawing.

    `preprocessing` has one channel, scale `standardised` and a square side.
    """

    program: LayerProgram
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    name: str
    """Name for screen readers."""


def digit_network(network: DigitNetwork, *, link: str, key: str) -> dict[str, Any] | None:
    """Draw the pad, the feature maps and the prediction.

    Args:
        network: The network.
        link: CSS selector of a link elsewhere on the page that takes along what is on the pad.
        key: Key of the component.

    Returns:
        What was on the pad when the link was just clicked, else None: `{"example": digit}`, or a drawing with
        `strokes` and `png` as of `drawing_pad`. It comes from a browser and is untrusted.
    """
    result = component("digit_network", DIGIT_NETWORK, css=("strokes.css", "digit_network.css"), js=SCRIPTS)(
        key=key, data=digit_packet(network, link), height="content", on_open_change=lambda: None
    )
    opened = result.get("open")
    return opened if isinstance(opened, dict) else None


def digit_packet(network: DigitNetwork, link: str = "") -> bytes:
    """Serialize the network for `main.js`."""
    preprocessing = network.preprocessing
    facts: dict[str, Any] = {
        "program": network.program.facts(),
        "input": {
            "side": preprocessing.side[0],
            "mean": preprocessing.mean[0],
            "std": preprocessing.spread[0],
        },
        "classes": network.classes,
        "name": network.name,
        "examples": [
            [[[round(CANVAS_SIDE * x), round(CANVAS_SIDE * y)] for x, y in stroke] for stroke in strokes]
            for strokes in STROKES
        ],
        "first": FIRST,
        "link": link,
    }
    return packet(facts, {"weights": network.program.weights, "table": SEQUENTIAL.astype(np.uint8)})
