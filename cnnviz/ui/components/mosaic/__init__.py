"""Every channel of a layer in one crisp mosaic, one map enlarged, and what a pointed-at cell sees.

The values themselves are sent, so that the pointer reads them off, the colours follow the theme and the tiles
fill whatever width there is, all without asking the server again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.analysis.types import WHOLE, ReceptiveField
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL
from cnnviz.interpret.mosaic import Floats, Marks, buffer
from cnnviz.ui.components.shared import component, packet

__all__ = ["MosaicView", "feature_mosaic", "mosaic_packet"]

# Mounting the component, and what a click in it says.

HERE = Path(__file__).parent
SCRIPTS = ("layout.js", "beside.js", "legend.js", "tiles.js", "listen.js", "main.js")


def feature_mosaic(view: bytes, *, key: str, on_select: Callable[[int], None] | None = None) -> None:
    """Draw a view that `mosaic_packet` made.

    `on_select` is called, before the page runs again, with the channel that was clicked or walked to; as all
    that a browser sends it may be any whole number. Without it a choice stays in the browser.
    """

    def selected() -> None:
        channel = st.session_state[key].get("selected")
        if on_select is not None and isinstance(channel, int):
            on_select(channel)

    component(
        "mosaic",
        HERE,
        css="mosaic.css",
        js=(
            "packet.js",
            "canvas.js",
            "figure_menu.js",
            "layout.js",
            "beside.js",
            "legend.js",
            "tiles.js",
            "listen.js",
            "main.js",
        ),
    )(key=key, data=view, on_selected_change=selected)


# What the mosaic is drawn of, as one piece of bytes.

MOST_BYTES = 3_000_000
"""Of values; larger layers are sent in 16 bits, and beyond that every second cell."""


@dataclass(frozen=True, eq=False)
class MosaicView:
    """A layer's output for one picture, and how to show it."""

    layer: str
    maps: Floats
    """`(C, H, W)`."""
    channels: NDArray[np.int64]
    """Which maps to show, in that order."""
    low: Floats
    """Value at the low end of each channel's colours, `(C,)`, by the channel's own number."""
    high: Floats
    diverging: bool
    marks: Marks
    name: str
    """What a download is called."""
    picture: NDArray[np.uint8] | None = None
    """The model's input before normalisation, `(H, W, C)`, C 1 or 3; None where maps are of no picture."""
    field: ReceptiveField = WHOLE
    """What a cell sees of the picture."""
    noun: str = "map"
    """What one of them is called."""
    chosen: int | None = None
    """Which is enlarged at first; the first one where None."""
    alone: bool = False
    """Whether the maps stand alone, without the picture and one of them enlarged beside them."""

    @property
    def alt(self) -> str:
        """What is to be seen, in words."""
        _, height, width = self.maps.shape
        dead = f", {len(self.marks.dead)} of them dead" if self.marks.dead else ""
        return f"{self.layer or 'The model'}: {len(self.channels):,} times {height}×{width}{dead}."


def mosaic_packet(view: MosaicView) -> bytes:
    """The view as `main.js` reads it."""
    shown = buffer(view.maps, MOST_BYTES)
    values = np.frombuffer(shown.data, "<f2" if shown.kind == "float16" else "<f4").reshape(shown.shape)
    field = view.field
    facts = {
        "layer": view.layer or "the model",
        "shape": view.maps.shape,
        "step": shown.step,
        "rounded": shown.kind == "float16",
        "marks": {
            "dead": view.marks.dead,
            "never": view.marks.never_positive,
            "saturated": view.marks.saturated,
            "broken": view.marks.broken,
        },
        "field": {"size": field.size, "jump": field.jump, "start": field.start, "whole": field.whole},
        "name": view.name,
        "noun": view.noun,
        "chosen": view.chosen,
        "alone": view.alone,
        "alt": view.alt,
    }
    arrays = {
        "values": values,
        "order": view.channels.astype(np.int32),
        "low": view.low,
        "high": view.high,
        "light": DIVERGING["light"] if view.diverging else SEQUENTIAL,
        "dark": DIVERGING["dark"] if view.diverging else SEQUENTIAL,
    }
    if view.picture is not None:
        arrays["picture"] = np.broadcast_to(view.picture, (*view.picture.shape[:2], 3))
    return packet(facts, arrays)
