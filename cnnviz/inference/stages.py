"""The ways pixels change before they become numbers: each takes and gives uint8 `(H, W, C)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.inference.picture import Picture, Pixels
from cnnviz.inference.preprocessing import Background, Preprocessing, Size

if TYPE_CHECKING:
    from PIL import Image as Pillow

TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
         7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
"""Exif's orientations, and what Pillow calls the way back."""
GREYS = {"white": 255, "grey": 128, "black": 0}
STRIP = 1 << 20
"""Pixels turned to grey at once: as floats, 40 million would take gigabytes."""
DIGIT_SHARE = 20 / 28
"""MNIST's digits fill a box of 20 in 28 pixels, their centre of mass in the middle (LeCun et al., 1998)."""
INK = 0.2
"""Part of the brightest value from which a pixel counts as drawn."""


def flattened(picture: Picture, background: Background) -> Pixels:
    """The picture's pixels with what is transparent laid over `background`."""
    if picture.pixels.shape[2] == 3:
        return picture.pixels
    from PIL import Image

    clear = Image.fromarray(picture.pixels)
    below = Image.new("RGBA", clear.size, (GREYS[background],) * 3)
    return np.asarray(Image.alpha_composite(below, clear).convert("RGB"))


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turned and mirrored as `orientation` says."""
    if orientation not in TURNS:
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).transpose(Image.Transpose[TURNS[orientation]]))


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """Colour `(H, W, 3)` as it is, or grey `(H, W, 1)` by the rule by which data sets are turned grey."""
    if channels == pixels.shape[2]:
        return pixels
    import torch

    from cnnviz.datasets import adapt

    height, width = pixels.shape[:2]
    grey = np.empty((height, width, 1), dtype=np.uint8)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        # Always a copy: decoded pixels are read-only, which torch warns of, and a single one is contiguous.
        strip = np.array(pixels[top : top + rows].transpose(2, 0, 1), order="C")[None]
        grey[top : top + rows, :, 0] = adapt(torch.from_numpy(strip), (1, *strip.shape[2:])).numpy()[0, 0]
    return grey


class InkBox(NamedTuple):
    """Where something light is drawn: the box around it, its end left out, and its center of mass."""

    top: int
    left: int
    bottom: int
    right: int
    middle: tuple[float, float]


def ink_box(pixels: Pixels) -> InkBox | None:
    """Find what is light in `(H, W, C)`; None where nothing is."""
    values = pixels.max(2)
    drawn = np.argwhere(values > INK * max(1, int(values.max())))
    if not len(drawn):
        return None
    (top, left), (bottom, right) = drawn.min(0), drawn.max(0) + 1
    weights = values[top:bottom, left:right].astype(np.float64)
    down, along = (
        float((weights.sum(1 - axis) * np.arange(weights.shape[axis])).sum() / weights.sum())
        for axis in (0, 1)
    )
    return InkBox(int(top), int(left), int(bottom), int(right), (top + down, left + along))


def centred(pixels: Pixels) -> Pixels:
    """What is light, in a dark square of its own: its centre of mass in the middle, a box of 20 in 28."""
    box = ink_box(pixels)
    if box is None:
        return pixels
    ink = pixels[box.top : box.bottom, box.left : box.right]
    side = max(1, round(max(ink.shape[:2]) / DIGIT_SHARE))
    middle = (box.middle[0] - box.top, box.middle[1] - box.left)
    start = [int(np.clip(round((side - 1) / 2 - middle[axis]), 0, side - ink.shape[axis])) for axis in (0, 1)]
    square = np.zeros((side, side, pixels.shape[2]), dtype=np.uint8)
    square[start[0] : start[0] + ink.shape[0], start[1] : start[1] + ink.shape[1]] = ink
    return square


def fitted(pixels: Pixels, how: Preprocessing) -> Pixels:
    """Resized as `how` says; untouched where the size is right already."""
    if pixels.shape[:2] == target(how) and how.fit != "shorter":
        return pixels
    from PIL import Image, ImageOps

    resample = Image.Resampling[how.resample.upper()]
    height, width = how.stored
    picture = _pillow(pixels)
    if how.fit == "shorter":
        fitting = _middle(_shorter(picture, height, resample), how.side)
    elif how.fit == "crop":
        fitting = ImageOps.fit(picture, (width, height), resample)
    elif how.fit == "pad":
        fitting = ImageOps.pad(picture, (width, height), resample, color=_padding(how))
    else:
        fitting = picture.resize((width, height), resample)
    found = np.asarray(fitting)
    return found if found.ndim == 3 else found[..., None]


def target(how: Preprocessing) -> Size:
    """Height and width that `fitted` gives."""
    return how.side if how.fit == "shorter" else how.stored


def _pillow(pixels: Pixels) -> Pillow.Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _padding(how: Preprocessing) -> int | tuple[int, int, int]:
    value = GREYS[how.background]
    return value if how.channels == 1 else (value,) * 3


def _shorter(picture: Pillow.Image, side: int, resample: Pillow.Resampling) -> Pillow.Image:
    """The shorter side made `side`, the longer cut down to whole pixels, as torchvision does."""
    width, height = picture.size
    if min(width, height) == side:
        return picture
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return picture.resize(size, resample)


def _middle(picture: Pillow.Image, side: Size) -> Pillow.Image:
    """The middle, halves rounded to even, as torchvision does."""
    width, height = picture.size
    top, left = round((height - side[0]) / 2), round((width - side[1]) / 2)
    return picture.crop((left, top, left + side[1], top + side[0]))
