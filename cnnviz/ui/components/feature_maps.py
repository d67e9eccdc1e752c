"""Feature maps of a layer: a mosaic of all, one of them enlarged, and the arithmetic of any cell of it.

The values themselves are sent, so that hovering reads them, colors follow the theme and tiles fill the
available width without requests to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.analysis.types import WHOLE, ReceptiveField
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL
from cnnviz.interpret.mosaic import ChannelFlags, Floats, pack_maps
from cnnviz.ui.components import component, packet

if TYPE_CHECKING:
    from cnnviz.interpret.arithmetic import Payload, Working


# Mosaic, with the receptive field of the hovered cell.

MOSAIC = Path(__file__).with_name("mosaic")
MOSAIC_SCRIPTS = ("layout.js", "beside.js", "legend.js", "tiles.js", "listen.js", "main.js")


def feature_mosaic(view: bytes, *, key: str, on_select: Callable[[int], None] | None = None) -> None:
    """Draw a view that `mosaic_packet` made.

    Args:
        view: The packet.
        key: Key of the component.
        on_select: Called with the selected channel before the page runs again; it comes from a browser and
            may
            be any integer. Without it a selection stays in the browser.
    """

    def selected() -> None:
        channel = st.session_state[key].get("selected")
        if on_select is not None and isinstance(channel, int):
            on_select(channel)

    component(
        "mosaic",
        MOSAIC,
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


MAX_BYTES = 3_000_000
"""Maximum bytes of values; larger layers are sent in 16 bits, and beyond that subsampled."""


@dataclass(frozen=True, eq=False)
class MosaicView:
    """A layer's output for one image, and its display."""

    layer: str
    maps: Floats
    """`(C, H, W)`."""
    channels: NDArray[np.int64]
    """Channels to show, in that order."""
    low: Floats
    """Value at the low end of each channel's color scale, `(C,)`, indexed by channel."""
    high: Floats
    diverging: bool
    marks: ChannelFlags
    name: str
    """File name of a download."""
    picture: NDArray[np.uint8] | None = None
    """The input before normalization, `(H, W, C)` with C 1 or 3; None for maps of no image."""
    field: ReceptiveField = WHOLE
    """Receptive field of a cell."""
    noun: str = "map"
    """Word for one of the maps."""
    chosen: int | None = None
    """Channel that is enlarged initially; None for the first one."""
    alone: bool = False
    """Whether to draw the mosaic only, without the image and the enlarged map."""

    @property
    def alt(self) -> str:
        """Alternative text."""
        _, height, width = self.maps.shape
        dead = f", {len(self.marks.dead)} of them dead" if self.marks.dead else ""
        return f"{self.layer or 'The model'}: {len(self.channels):,} times {height}×{width}{dead}."


def mosaic_packet(view: MosaicView) -> bytes:
    """Serialize the view for `main.js`."""
    shown = pack_maps(view.maps, MAX_BYTES)
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


# Arithmetic of a layer: how any cell is computed, from patches, kernel, products, sum and bias, on hover.
# After the interactive formula view of CNN Explainer (Wang et al., 2020), for every kind of layer that
# `cnnviz.interpret.arithmetic` supports; the browser computes the same sums under the same names.

ARITHMETIC = Path(__file__).with_name("arithmetic")
ARITHMETIC_SCRIPTS = (
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

    def on_request() -> None:
        cell = st.session_state[key].get("asked")
        if on_ask is None or not isinstance(cell, list) or len(cell) != 3:
            return
        if all(isinstance(coordinate, int) for coordinate in cell):
            on_ask(*cell)

    component(
        "arithmetic",
        ARITHMETIC,
        css="arithmetic.css",
        js=("packet.js", "canvas.js", "figure_menu.js", *ARITHMETIC_SCRIPTS),
    )(key=key, data=view, on_asked_change=on_request)


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
