"""Digit network: a drawing pad whose digit is classified with every stroke, all layers shown, in the browser.

The weights are sent once; after that the server is not involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.samples import STROKES
from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.interpret.colormaps import SEQUENTIAL
from cnnviz.ui.components import component, packet

HERE = Path(__file__).parent
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
    result = component("digit_network", HERE, css=("strokes.css", "digit_network.css"), js=SCRIPTS)(
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
