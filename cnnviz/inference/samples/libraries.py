"""Pictures out of libraries that cnnviz needs anyway, with the licence that they carry there."""

from __future__ import annotations

import colorsys
import functools
import gzip
from importlib import resources

import numpy as np
from PIL import Image

from cnnviz.inference.samples.sample import LICENCE, OURS, Sample

CC_BY_2 = "CC BY 2.0"
ENLARGED = 4
SCANNED = {3: 3, 5: 5, 8: 8}
"""A digit, and the row of scikit-learn's digits that shows it."""


def photograph(name: str) -> bytes:
    """A JPEG file that scikit-learn ships."""
    return resources.files("sklearn.datasets").joinpath("images", name).read_bytes()


def scanned(row: int) -> Image.Image:
    """A scanned digit of 8×8 pixels in 17 greys, each enlarged to a block, light on dark."""
    packed = resources.files("sklearn.datasets").joinpath("data", "digits.csv.gz").read_bytes()
    line = gzip.decompress(packed).decode().splitlines()[row]
    values = np.array(line.split(",")[:64], dtype=float).reshape(8, 8)
    pixels = np.rint(values * 255 / 16).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((ENLARGED, ENLARGED), np.uint8)))


PHOTOGRAPHS = (
    *(
        Sample(
            f"scanned-{digit}", f"A scanned {digit}", "digit",
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI), from scikit-learn",
            "CC BY 4.0", functools.partial(scanned, row),
        )
        for digit, row in SCANNED.items()
    ),
    Sample(
        "temple", "The Summer Palace in Beijing", "photograph",
        "danielbuechele on Flickr, from scikit-learn (china.jpg)", CC_BY_2,
        functools.partial(photograph, "china.jpg"),
    ),
    Sample(
        "flower", "A dahlia", "photograph",
        "vultilion on Flickr, from scikit-learn (flower.jpg)", CC_BY_2,
        functools.partial(photograph, "flower.jpg"),
    ),
)  # fmt: skip


# Test cards: pictures whose contents are known exactly, to see what a filter answers to.

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


TEST_CARDS = (
    Sample("zone-plate", "Zone plate", "test card", OURS, LICENCE, zone_plate),
    Sample("stripes", "Stripes in eight directions", "test card", OURS, LICENCE, stripes),
    Sample("colour-wheel", "Colour wheel", "test card", OURS, LICENCE, colour_wheel),
)
