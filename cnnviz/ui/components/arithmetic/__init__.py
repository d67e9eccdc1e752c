"""Arithmetic of a layer: how any cell is computed, from patches, kernel, products, sum and bias, on hover.

After the interactive formula view of CNN Explainer (Wang et al., 2020), for every kind of layer that
`cnnviz.interpret.arithmetic` supports; the browser computes the same sums under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.interpret.colormaps import DIVERGING
from cnnviz.ui.components import component, packet

if TYPE_CHECKING:
    from cnnviz.interpret.arithmetic import Payload, Working

__all__ = ["ArithmeticView", "arithmetic_packet", "layer_arithmetic"]

# Mounting the component, and its requests.

HERE = Path(__file__).parent
SCRIPTS = (
    "work_windows.js",
    "work_values.js",
    "work_units.js",
    "ink.js",
    "rows.js",
    "sheet.js",
    "output.js",
    "main.js",
)


def layer_arithmetic(view: bytes, *, key: str, on_ask: Callable[[int, int, int], None] | None = None) -> None:
    """Draw a view that `arithmetic_packet` made; hovering is handled in the browser.

    Args:
        view: The packet.
        key: Key of the component.
        on_ask: `on_ask(channel, y, x)` is called before the page runs again, when another channel is chosen,
            or
            a cell of a layer that is too large to compute in the browser. The values may be any integers.
    """

    def asked() -> None:
        cell = st.session_state[key].get("asked")
        if on_ask is None or not isinstance(cell, list) or len(cell) != 3:
            return
        if all(isinstance(coordinate, int) for coordinate in cell):
            on_ask(*cell)

    component(
        "arithmetic", HERE, css="arithmetic.css", js=("packet.js", "canvas.js", "figure_menu.js", *SCRIPTS)
    )(key=key, data=view, on_asked_change=asked)


# The data of the view.


@dataclass(frozen=True, eq=False)
class ArithmeticView:
    """A layer's arithmetic for one image, and the initial cell."""

    payload: Payload
    channel: int
    """Output map, or unit, that is shown; the payload's own if it holds one channel."""
    name: str
    """File name of a download."""
    cell: tuple[int, int] | None = None
    """`(y, x)` in that map; None for the one with the largest magnitude."""
    working: Working | None = None
    """How a cell is computed, if the payload is of single cells."""
    units: Sequence[str] = ()
    """Labels of a vector's values: classes, after the last layer."""


def arithmetic_packet(view: ArithmeticView) -> bytes:
    """Serialize the view for `main.js`."""
    payload = view.payload
    facts = {
        "layer": payload.layer or "the model",
        "kind": payload.kind,
        "scope": payload.scope,
        "channel": view.channel,
        "cell": view.cell,
        "outputShape": payload.output_shape,
        "settings": payload.settings,
        "note": payload.note,
        "asked": None if view.working is None else view.working.to_dict(),
        "units": list(view.units),
        "name": view.name,
    }
    arrays = {
        name: np.frombuffer(data, "<f4").reshape(shape) for name, (shape, data) in payload.arrays.items()
    }
    return packet(facts, arrays | {"light": DIVERGING["light"], "dark": DIVERGING["dark"]})
