"""Images that the bench draws lots for, from larger sets that lie in a folder."""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnviz import datasets
from cnnviz.datasets.dataset import stratified_subset
from cnnviz.datasets.spec import Arrays, Labels, Pixels


@dataclass(frozen=True)
class Draw:
    """So many images, chosen at random but always the same, of each class as large a part as it has."""

    counts: tuple[int, int]
    """For training and for the test."""
    without: tuple[Draw, ...] = ()
    """None of the images of these."""

    def rows(self, labels: Labels, part: int) -> Labels:
        """Which of the images with these labels; `part` is 0 for training, 1 for the test."""
        return _rows(self, labels.tobytes(), labels.dtype.str, part)


@functools.cache
def _rows(draw: Draw, labels: bytes, dtype: str, part: int) -> Labels:
    # Draws without others without others: each is made once, not once for each that names it.
    values = np.frombuffer(labels, dtype)
    free = np.arange(len(values))
    for other in draw.without:
        free = np.setdiff1d(free, _rows(other, labels, dtype, part))
    return free[stratified_subset(values[free], draw.counts[part], seed=0)]


_SMALL, _LARGE = (1_500, 400), (4_000, 1_000)
CIFAR = Draw(_LARGE)
PHOTOS = Draw(_SMALL, (CIFAR,))
VIEWS = Draw(_LARGE, (CIFAR, PHOTOS))
MNIST = Draw(_SMALL)
SIGNS = Draw(_SMALL, (MNIST,))
NUMERALS = Draw(_SMALL, (Draw(_LARGE),))
STAMPS = Draw(_SMALL, (MNIST, SIGNS, NUMERALS))
FAINT = Draw(_SMALL, (MNIST, SIGNS, NUMERALS, STAMPS))
FASHION = Draw(_SMALL)
GARMENTS = Draw(_SMALL, (FASHION,))
EVERY = {
    "every-cifar10": Draw(_LARGE, (CIFAR, PHOTOS, VIEWS)),
    "every-mnist": Draw(_SMALL, (MNIST, SIGNS, NUMERALS, STAMPS, FAINT)),
    "every-fashion": Draw(_SMALL, (FASHION, GARMENTS)),
}
"""For healthy runs of every model."""
NOTES = Draw(_SMALL, (MNIST, SIGNS, NUMERALS, STAMPS, FAINT, EVERY["every-mnist"]))
COATS = Draw(_SMALL, (FASHION, GARMENTS, EVERY["every-fashion"]))
BOOTS = Draw(_SMALL, (FASHION, GARMENTS, EVERY["every-fashion"], COATS))
_SCORED_MNIST = (MNIST, SIGNS, NUMERALS, STAMPS, FAINT, EVERY["every-mnist"], NOTES)
_SCORED_FASHION = (FASHION, GARMENTS, EVERY["every-fashion"], COATS, BOOTS)
_TINY = (800, 400)
CIPHERS = Draw(_TINY, _SCORED_MNIST)
SCRAWLS = Draw(_TINY, (*_SCORED_MNIST, CIPHERS))
POSTCODES = Draw(_TINY, (*_SCORED_MNIST, CIPHERS, SCRAWLS))
PLATES = Draw(_TINY, (*_SCORED_MNIST, CIPHERS, SCRAWLS, POSTCODES))
SHIRTS = Draw(_TINY, _SCORED_FASHION)
BAGS = Draw(_TINY, (*_SCORED_FASHION, SHIRTS))
SLEEVES = Draw(_TINY, (*_SCORED_FASHION, SHIRTS, BAGS))
_EARLIER_FASHION = (*_SCORED_FASHION, SHIRTS, BAGS, SLEEVES)
_TINIER = (500, 300)
KNITS = Draw(_TINIER, _EARLIER_FASHION)
HATS = Draw(_TINIER, (*_EARLIER_FASHION, KNITS))
LINENS = Draw(_TINIER, (*_EARLIER_FASHION, KNITS, HATS))
SOCKS = Draw(_TINIER, (*_EARLIER_FASHION, KNITS, HATS, LINENS))
_SIX_HUNDRED = (600, 300)
_EARLIER_MNIST = (*_SCORED_MNIST, CIPHERS, SCRAWLS, POSTCODES, PLATES)
_NINE_FASHION = (*_EARLIER_FASHION, KNITS, HATS, LINENS, SOCKS)
CHEQUES = Draw(_SIX_HUNDRED, _EARLIER_MNIST)
TICKETS = Draw(_SIX_HUNDRED, (*_EARLIER_MNIST, CHEQUES))
JACKETS = Draw(_SIX_HUNDRED, _NINE_FASHION)
DRESSES = Draw(_SIX_HUNDRED, (*_NINE_FASHION, JACKETS))


def there(name: str, folder: Path | None) -> bool:
    """Whether `folder` has a set of that name."""
    return _place(folder, name) is not None


def images(folder: Path | None, name: str, draw: Draw) -> Arrays:
    """What is drawn of the set `name`; raises `FileNotFoundError` where `folder` does not have it."""
    place = _place(folder, name)
    if place is None:
        raise FileNotFoundError(f"'{folder}' holds no {name}.")
    if name == "fashion":
        return Arrays(*_idx_rows(place, "train", draw, 0), *_idx_rows(place, "t10k", draw, 1))
    data = datasets.load(place)

    def chosen(part: datasets.Part, number: int) -> tuple[Pixels, Labels]:
        rows = draw.rows(part.labels, number)
        return part.pixels(rows), part.labels[rows]

    return Arrays(*chosen(data.train, 0), *chosen(data.test, 1))


def _place(folder: Path | None, name: str) -> Path | None:
    places = [] if folder is None else [folder / name, folder / f"{name}-jpeg"]
    return next((place for place in places if place.is_dir()), None)


def _idx_rows(place: Path, part: str, draw: Draw, number: int) -> tuple[Pixels, Labels]:
    labels = _idx(place / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)
    rows = draw.rows(labels, number)
    return _idx(place / f"{part}-images-idx3-ubyte.gz")[rows, None], labels[rows]


def _idx(path: Path) -> Pixels:
    """LeCun's format for arrays of bytes: their number of dimensions, their shape, then the bytes."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
