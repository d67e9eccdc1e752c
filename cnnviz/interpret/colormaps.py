"""Color maps: one perceptually uniform sequential map from dark to light, and maps that diverge from zero.

Interpolated in Oklab (Ottosson, "A perceptual color space for image processing", 2020), in which equal steps
of L look equally far apart. Blue and orange remain distinguishable with color vision deficiency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Theme = Literal["light", "dark"]
STEPS = 255
"""Entries of a color map: an odd number, so that a diverging one has zero exactly in its middle."""
NONFINITE = (214, 39, 130)
"""Color of NaN and Inf."""

_TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def srgb_to_oklab(rgb: Bytes) -> NDArray[np.float64]:
    """Convert sRGB `(…, 3)`, 0 to 255, to Oklab `(…, 3)`."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lab: NDArray[np.float64] = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def _oklab_to_srgb(lab: NDArray[np.float64]) -> Bytes:
    linear = np.clip((lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T, 0, 1)
    value = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(value * 255).astype(np.uint8)


def _interpolated(*colours: str) -> Bytes:
    """Build a color map through hex colors whose lightness rises or falls monotonically."""
    anchors = srgb_to_oklab(np.array([tuple(bytes.fromhex(colour)) for colour in colours], dtype=np.uint8))
    position = (anchors[:, 0] - anchors[0, 0]) / (anchors[-1, 0] - anchors[0, 0])
    positions = np.linspace(0, 1, STEPS)
    return _oklab_to_srgb(
        np.stack([np.interp(positions, position, anchors[:, axis]) for axis in range(3)], axis=1)
    )


def _joined_at_zero(negative: Bytes, positive: Bytes) -> Bytes:
    """Join two color maps that begin with the same color, the first reversed, each at half its steps."""
    return np.concatenate([negative[::-2], positive[2::2]])


SEQUENTIAL = _interpolated("0a0724", "2b2c7c", "1d6c8c", "3fa985", "b4d24e", "fdf7bd")
DIVERGING: dict[Theme, Bytes] = {
    "light": _joined_at_zero(
        _interpolated("ffffff", "8fbfe8", "0b4a8f"), _interpolated("ffffff", "f4b066", "9c3f00")
    ),
    "dark": _joined_at_zero(
        _interpolated("000000", "17518f", "8ccbff"), _interpolated("000000", "93480c", "ffc27d")
    ),
}
GAP: dict[Theme, tuple[int, int, int]] = {"light": (255, 255, 255), "dark": (24, 27, 32)}
"""Color between the maps of a mosaic."""


def apply_colormap(values: Floats, low: Floats | float, high: Floats | float, table: Bytes) -> Bytes:
    """Map values `(…)` to colors `(…, 3)`; `low` and `high`, which broadcast, get the color map's ends.

    Values outside are clipped; where `low` equals `high` everything gets the low end. NaN and Inf get
    `NONFINITE`.
    """
    span = np.subtract(high, low, dtype=np.float32)
    scale = np.divide(STEPS - 1, span, out=np.zeros_like(span), where=span > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        index = (values - low) * scale + np.float32(0.5)
    finite = np.isfinite(values)
    if finite.all():
        return _look_up(table, index)
    index = np.nan_to_num(index, nan=0.0, posinf=STEPS, neginf=0.0)
    colors = _look_up(table, index)
    colors[~finite] = NONFINITE
    return colors


def _look_up(table: Bytes, index: Floats) -> Bytes:
    colors: Bytes = table[np.clip(index, 0, STEPS - 1).astype(np.uint8)]
    return colors


def gradient_stops(table: Bytes, count: int = 9) -> Sequence[str]:
    """Return evenly spaced colors of a color map as `#rrggbb`, for a legend's gradient."""
    rows = table[np.linspace(0, STEPS - 1, count).round().astype(int)]
    return [f"#{bytes(row).hex()}" for row in rows]
