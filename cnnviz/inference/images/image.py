"""A picture that was read: its pixels as they lie in the file, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels uint8 `(H, W, 3)`, or `(H, W, 4)` with opacity last, not yet turned upright.

    Without opacity they are what Pillow's `convert("RGB")` gives, deep pictures scaled to eight bits before.
    """

    name: str
    pixels: Pixels
    format: str = ""
    """As Pillow calls it; empty for what never was a file."""
    mode: str = "RGB"
    """Pillow's mode of what lay in the file."""
    orientation: int = 1
    """Exif's, from 1 (upright) to 8."""
    moving: bool = False
    """Whether there are more frames than the first."""
    truth: str | None = None
    """The true class, where it is known."""

    @classmethod
    def of_data(cls, name: str, image: Pixels, truth: str | None = None) -> Picture:
        """An image of a data set, uint8 `(C, H, W)` with one or three channels."""
        colour = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
        return cls(
            name, np.ascontiguousarray(colour), mode="RGB" if image.shape[0] == 3 else "L", truth=truth
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, as the pixels lie."""
        height, width = self.pixels.shape[:2]
        return height, width


@dataclass(frozen=True)
class Refusal:
    """What could not be read, and why, in one sentence."""

    name: str
    reason: str
    truth: str | None = None
