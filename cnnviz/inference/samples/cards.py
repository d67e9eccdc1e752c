"""Test cards: pictures whose contents are known exactly, to see what a filter answers to."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image

from cnnviz.inference.samples.sample import LICENCE, OURS, Sample

SIDE = 128


def zone_plate() -> Image.Image:
    """Rings that grow finer outwards: every direction and every width of stripes at once."""
    place = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
    squared = place[:, None] ** 2 + place[None] ** 2
    rings = np.cos(squared * np.pi * SIDE / 4)
    return Image.fromarray(np.rint(127.5 + 127.5 * rings).astype(np.uint8))


def colour_wheel() -> Image.Image:
    """Hue around, saturation outwards."""
    place = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
    hue = np.arctan2(place[:, None], np.broadcast_to(place, (SIDE, SIDE))) / (2 * np.pi) % 1
    saturation = np.minimum(1, np.hypot(place[:, None], place[None]))
    pixels = [
        colorsys.hsv_to_rgb(float(h), float(s), 1.0)
        for h, s in zip(hue.ravel(), saturation.ravel(), strict=True)
    ]
    return Image.fromarray(np.rint(np.array(pixels) * 255).astype(np.uint8).reshape(SIDE, SIDE, 3))


def stripes() -> Image.Image:
    """Stripes in eight directions, one in each of eight fields."""
    rows, columns = np.indices((SIDE // 2, SIDE // 4))
    fields = []
    for number in range(8):
        angle = np.pi * number / 8
        wave = np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * 2 * np.pi / 6)
        fields.append(np.rint(127.5 + 120 * wave).astype(np.uint8))
    return Image.fromarray(np.vstack([np.hstack(fields[:4]), np.hstack(fields[4:])]))


SAMPLES = (
    Sample("zone-plate", "Zone plate", "test card", OURS, LICENCE, zone_plate),
    Sample("stripes", "Stripes in eight directions", "test card", OURS, LICENCE, stripes),
    Sample("colour-wheel", "Colour wheel", "test card", OURS, LICENCE, colour_wheel),
)
