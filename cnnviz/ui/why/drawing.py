"""An attribution as pictures: over the picture, alone, and the picture with a region covered."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np

from cnnviz.inference.picture import Pixels
from cnnviz.interpret.colours import DIVERGING, SEQUENTIAL, stops
from cnnviz.ui.why.found import Found

CSS = Path(__file__).with_name("why.css")
WIDE = 320
"""Pixels that a picture comes near to, by whole-numbered enlargement."""
COVER, FRAME = 128, (217, 72, 15)


def enlarged(seen: Pixels) -> Pixels:
    """A picture `(H, W, 1 or 3)` in colour, each pixel a block: uint8 `(H', W', 3)`."""
    zoom = max(1, WIDE // seen.shape[1])
    colour = np.broadcast_to(seen, (*seen.shape[:2], 3))
    return np.ascontiguousarray(colour.repeat(zoom, axis=0).repeat(zoom, axis=1))


def painted(found: Found, opacity: int) -> Pixels:
    """The map over the picture, `opacity` in per cent."""
    from cnnviz.interpret.regions import overlay

    attribution = found.attribution
    return overlay(enlarged(found.ready.seen), attribution.values, opacity / 100, attribution.signed)


def covered(seen: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """The picture with a box of grey, framed; `box` is `(top, left, bottom, right)` in its pixels."""
    large = enlarged(seen)
    zoom = large.shape[0] // seen.shape[0]
    top, left, bottom, right = (zoom * edge for edge in box)
    large[top:bottom, left:right] = FRAME
    rim = max(1, min(3, (bottom - top) // 4))
    large[top + rim : bottom - rim, left + rim : right - rim] = COVER
    return large


def png(pixels: Pixels) -> bytes:
    """A PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


def figure(pixels: Pixels, alt: str, caption: str) -> str:
    """A picture with its caption, which is HTML, as HTML."""
    source = f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
    return f'<figure><img src="{source}" alt="{escape(alt)}"><figcaption>{caption}</figcaption></figure>'


def legend(signed: bool) -> str:
    """The colours' scale as HTML."""
    colours = ", ".join(stops(DIVERGING["light"] if signed else SEQUENTIAL))
    low, high = ("against", "for") if signed else ("none", "most")
    return (
        f'<span class="scale">{low}<i style="background:linear-gradient(90deg, {colours})"></i>{high}</span>'
    )
