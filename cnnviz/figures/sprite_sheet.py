"""Sprite sheets: many small images packed into one PNG, from which a page shows each in a cell."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
LARGEST = 112
"""Default limit of a cell's longer side in pixels; larger images are downscaled to it."""
GAP = 1
"""Transparent pixels between cells, so that a browser that rescales the sheet does not blend neighbors."""


@dataclass(frozen=True)
class Sprite:
    """Sprite sheet: `count` cells of `height`×`width` pixels, `columns` per row, `GAP` pixels apart."""

    png: bytes
    count: int
    columns: int
    height: int
    width: int

    @property
    def lines(self) -> int:
        """Number of rows of cells."""
        return math.ceil(self.count / self.columns)


def sprite(images: Pixels, columns: int | None = None, largest: int = LARGEST) -> Sprite:
    """Pack images into one PNG.

    Args:
        images: uint8 `(N, C, H, W)` with N ≥ 1 and C 1 or 3.
        columns: Cells per row; by default as many as make the sheet about square.
        largest: Limit of a cell's longer side in pixels; larger images are downscaled.
    """
    cells = _reduced(images, largest).transpose(0, 2, 3, 1)
    count, height, width, channels = cells.shape
    across = min(columns or math.ceil(math.sqrt(count)), count)
    lines = math.ceil(count / across)
    sheet = np.zeros((lines * (height + GAP), across * (width + GAP), 4), dtype=np.uint8)
    for number, cell in enumerate(cells):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[top : top + height, left : left + width, :3] = cell
        sheet[top : top + height, left : left + width, 3] = 255
    grey = channels == 1
    return Sprite(_png(sheet[..., [0, 3]] if grey else sheet), count, across, height, width)


def _reduced(images: Pixels, largest: int) -> Pixels:
    """Downscale the images to a longer side of at most `largest`, bilinear with antialiasing."""
    longer = max(images.shape[2:])
    if longer <= largest:
        return images
    from PIL import Image

    size = tuple(max(1, round(side * largest / longer)) for side in (images.shape[3], images.shape[2]))
    kind = "L" if images.shape[1] == 1 else "RGB"
    small = []
    for image in images:
        plain = image[0] if kind == "L" else np.ascontiguousarray(image.transpose(1, 2, 0))
        resized = np.asarray(Image.fromarray(plain).resize((size[0], size[1]), Image.Resampling.BILINEAR))
        small.append(resized[None] if kind == "L" else resized.transpose(2, 0, 1))
    return np.stack(small)


def _png(sheet: Pixels) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
