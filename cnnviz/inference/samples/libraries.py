"""Pictures out of libraries that cnnviz needs anyway, with the licence that they carry there."""

from __future__ import annotations

import functools
import gzip
from importlib import resources

import numpy as np
from PIL import Image

from cnnviz.inference.samples.sample import Sample

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


SAMPLES = (
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
