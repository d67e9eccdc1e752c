"""Images that the bench trains on, none of them with anything wrong."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz import datasets
from cnnviz.datasets.adapting import adapt
from cnnviz.datasets.spec import Arrays, Labels, Pixels
from cnnviz.models import Shape

CLASSES = 10
MNIST = (1_500, 400)
CIFAR = (4_000, 1_000)
"""Training and test images of the sources of that name; those that take others take none of these."""


def digits(folder: Path | None) -> Arrays:
    """The digits that come with scikit-learn: 1,438 and 359, 28×28."""
    return _whole(datasets.load("digits"))


def small_digits(folder: Path | None) -> Arrays:
    """The same digits, 12×12, dark on light, at the size at which they have detail and half as much again."""
    made = adapted(digits(folder), (1, 12, 12))
    return Arrays(255 - made.train_images, made.train_labels, 255 - made.test_images, made.test_labels)


def cifar(folder: Path | None) -> Arrays:
    """4,000 and 1,000 images of CIFAR-10, reduced to 16×16; raises `FileNotFoundError` without `folder`."""
    return adapted(_some(_found(folder, "cifar10"), CIFAR), (3, 16, 16))


def photos(folder: Path | None) -> Arrays:
    """1,500 and 400 other images of CIFAR-10, reduced to 12×12."""
    return adapted(_some(_found(folder, "cifar10"), (1_500, 400), beside=CIFAR), (3, 12, 12))


def mnist(folder: Path | None) -> Arrays:
    """1,500 and 400 images of MNIST, the middle 20×20, in which its digits lie."""
    return _middle(_some(_found(folder, "mnist"), MNIST))


def signs(folder: Path | None) -> Arrays:
    """1,500 and 400 other images of MNIST, 11×11, anywhere on 14×14, light ink of any colour on dark."""
    small = adapted(_middle(_some(_found(folder, "mnist"), (1_500, 400), beside=MNIST)), (1, 11, 11))
    return Arrays(
        _painted(small.train_images, 14, seed=0), small.train_labels,
        _painted(small.test_images, 14, seed=1), small.test_labels,
    )  # fmt: skip


def numerals(folder: Path | None) -> Arrays:
    """1,500 and 400 more images of MNIST, black on white, reduced to 16×16."""
    made = adapted(_some(_found(folder, "mnist"), (1_500, 400), beside=(4_000, 1_000)), (1, 16, 16))
    return Arrays(255 - made.train_images, made.train_labels, 255 - made.test_images, made.test_labels)


def fashion(folder: Path | None) -> Arrays:
    """1,500 and 400 images of Fashion-MNIST, reduced to 14×14."""
    if not there("fashion", folder):
        raise FileNotFoundError(f"'{folder}' holds no fashion.")
    root = Path(folder or "", "fashion")

    def some(part: str, count: int) -> tuple[Pixels, Labels]:
        labels = _idx(root / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)
        rows = datasets.splits.limit(labels, count, seed=0)
        return _idx(root / f"{part}-images-idx3-ubyte.gz")[rows, None], labels[rows]

    return adapted(Arrays(*some("train", 1_500), *some("t10k", 400)), (1, 14, 14))


def gratings(folder: Path | None) -> Arrays:
    """2,000 and 400 coloured gratings of 16×16 in noise; the class is which way they run."""
    return Arrays(*_gratings(2_000, seed=0), *_gratings(400, seed=1))


def glyphs(folder: Path | None) -> Arrays:
    """1,500 and 400 images of 12×12 with one of ten figures of 7×7 dots anywhere, in noise."""
    return Arrays(*_glyphs(1_500, seed=0), *_glyphs(400, seed=1))


def clocks(folder: Path | None) -> Arrays:
    """1,500 and 400 images of 12×12 with a hand from the middle that points in one of ten directions."""
    return Arrays(*_clocks(1_500, seed=0), *_clocks(400, seed=1))


def tiles(folder: Path | None) -> Arrays:
    """1,500 and 400 coloured images of 14×14 in noise: one of ten patterns of 4×4, again and again."""
    return Arrays(*_tiles(1_500, seed=0), *_tiles(400, seed=1))


SOURCES: dict[str, Callable[[Path | None], Arrays]] = {
    "digits": digits, "small-digits": small_digits, "cifar": cifar, "photos": photos, "mnist": mnist,
    "signs": signs, "fashion": fashion, "gratings": gratings, "glyphs": glyphs, "clocks": clocks,
    "numerals": numerals, "tiles": tiles,
}  # fmt: skip
_FOLDERS = {
    "cifar": "cifar10", "photos": "cifar10", "mnist": "mnist", "signs": "mnist", "numerals": "mnist",
    "fashion": "fashion",
}  # fmt: skip


def there(name: str, folder: Path | None) -> bool:
    """Whether the source can be made: it needs no folder, or `folder` has it."""
    return name not in _FOLDERS or _place(folder, _FOLDERS[name]) is not None


@functools.cache
def source(name: str, folder: Path | None) -> Arrays:
    """One of `SOURCES`, made once."""
    return SOURCES[name](folder)


def adapted(arrays: Arrays, shape: Shape) -> Arrays:
    """With images of another shape `(C, H, W)`, made as a data set is fitted to a model."""
    import torch

    def fitted(images: Pixels) -> Pixels:
        return adapt(torch.from_numpy(np.ascontiguousarray(images)), shape).numpy()

    return Arrays(
        fitted(arrays.train_images), arrays.train_labels, fitted(arrays.test_images), arrays.test_labels
    )


def pixels(values: NDArray[np.float64]) -> Pixels:
    """Rounded, and cut off at 0 and 255."""
    return values.round().clip(0, 255).astype(np.uint8)


def _gratings(count: int, seed: int) -> tuple[Pixels, Labels]:
    random, side = np.random.default_rng(seed), 16
    labels = random.integers(0, CLASSES, count)
    angle = np.pi * (labels + random.uniform(-0.3, 0.3, count)) / CLASSES
    y, x = np.mgrid[:side, :side]
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    cycles = random.uniform(0.12, 0.25, count)[:, None, None]
    wave = np.sin(2 * np.pi * (cycles * along + random.uniform(0, 1, count)[:, None, None]))
    colour = random.uniform(-60, 60, (count, 3, 1, 1))
    noise = random.normal(0, 25, (count, 3, side, side))
    return pixels(random.uniform(80, 170, (count, 3, 1, 1)) + colour * wave[:, None] + noise), labels


def _glyphs(count: int, seed: int) -> tuple[Pixels, Labels]:
    figures = np.random.default_rng(3).integers(0, 2, (CLASSES, 1, 7, 7)) * 255
    labels = np.random.default_rng((9, seed)).integers(0, CLASSES, count)
    return _painted(figures[labels].astype(np.uint8), 12, seed, noise=20)[:, :1], labels


def _clocks(count: int, seed: int) -> tuple[Pixels, Labels]:
    random = np.random.default_rng((5, seed))
    y, x = np.mgrid[:12, :12] - 5.5
    labels = random.integers(0, CLASSES, count)
    angle = (2 * np.pi * (labels + random.uniform(-0.4, 0.4, count)) / CLASSES)[:, None, None]
    along, beside = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    hand = (along > 0) & (along < random.uniform(4, 6, (count, 1, 1))) & (np.abs(beside) < 0.9)
    return pixels(40 + 150 * hand + random.normal(0, 30, hand.shape))[:, None], labels


def _tiles(count: int, seed: int) -> tuple[Pixels, Labels]:
    random, side = np.random.default_rng((6, seed)), 14
    patterns = np.random.default_rng(8).uniform(-1, 1, (CLASSES, 4, 4))
    labels, corner = random.integers(0, CLASSES, count), random.integers(0, 4, (count, 2))
    rows = (corner[:, :1] + np.arange(side)) % 4
    columns = (corner[:, 1:] + np.arange(side)) % 4
    laid = patterns[labels[:, None, None], rows[:, :, None], columns[:, None, :]]
    colour = random.uniform(20, 60, (count, 3, 1, 1))
    noise = random.normal(0, 30, (count, 3, side, side))
    return pixels(random.uniform(90, 160, (count, 3, 1, 1)) + colour * laid[:, None] + noise), labels


def _painted(images: Pixels, side: int, seed: int, noise: float = 12) -> Pixels:
    """Grey images `(N, 1, h, w)` as masks of ink, anywhere on a ground of `side`×`side`."""
    random, (count, _, height, width) = np.random.default_rng((4, seed)), images.shape
    mask = np.zeros((count, 1, side, side))
    top, left = random.integers(0, side - height + 1, count), random.integers(0, side - width + 1, count)
    for number, image in enumerate(images):
        rows, columns = top[number] + np.arange(height), left[number] + np.arange(width)
        mask[number, 0, rows[:, None], columns] = image[0] / 255
    ground = random.uniform(10, 70, (count, 3, 1, 1))
    ink = random.uniform(110, 250, (count, 3, 1, 1))
    return pixels(ground + (ink - ground) * mask + random.normal(0, noise, (count, 3, side, side)))


def _whole(data: datasets.Dataset) -> Arrays:
    return Arrays(data.train.images, data.train.labels, data.test.images, data.test.labels)


def _middle(arrays: Arrays) -> Arrays:
    cut = (slice(None), slice(None), slice(4, 24), slice(4, 24))
    return Arrays(arrays.train_images[cut], arrays.train_labels, arrays.test_images[cut], arrays.test_labels)


def _place(folder: Path | None, name: str) -> Path | None:
    places = [] if folder is None else [folder / name, folder / f"{name}-jpeg"]
    return next((place for place in places if place.is_dir()), None)


def _found(folder: Path | None, name: str) -> datasets.Dataset:
    place = _place(folder, name)
    if place is None:
        raise FileNotFoundError(f"'{folder}' holds no {name}.")
    return datasets.load(place)


def _idx(path: Path) -> Pixels:
    """LeCun's format for arrays of bytes: their number of dimensions, their shape, then the bytes."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _some(data: datasets.Dataset, counts: tuple[int, int], beside: tuple[int, int] = (0, 0)) -> Arrays:
    """So many images for training and test, none of which is among as many as `beside` says."""

    def rows(part: datasets.Part, count: int, others: int) -> tuple[Pixels, Labels]:
        free = np.arange(len(part.labels))
        if others:
            free = np.setdiff1d(free, datasets.splits.limit(part.labels, others, seed=0))
        chosen = free[datasets.splits.limit(part.labels[free], count, seed=0)]
        return part.pixels(chosen), part.labels[chosen]

    return Arrays(*rows(data.train, counts[0], beside[0]), *rows(data.test, counts[1], beside[1]))
