"""What the bench trains on, and what can be wrong with it: every flaw is a function from arrays to arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz import datasets
from cnnviz.datasets import drawing, registry
from cnnviz.datasets.adapting import LUMA, adapt
from cnnviz.datasets.spec import Arrays, DatasetSpec, Labels, Pixels, Progress
from cnnviz.models import NoOptions, Shape

CLASSES = 10
Flaw = Callable[[Arrays], Arrays]
Values = NDArray[np.float64]


def digits(folder: Path | None) -> Arrays:
    """The digits that come with scikit-learn: 1,438 and 359, 28×28."""
    return _whole(datasets.load("digits"))


def cifar(folder: Path | None) -> Arrays:
    """4,000 and 1,000 images of CIFAR-10, reduced to 16×16; raises `FileNotFoundError` without `folder`."""
    return _some(_found(folder, "cifar10"), 4_000, 1_000, (3, 16, 16))


def mnist(folder: Path | None) -> Arrays:
    """1,500 and 400 images of MNIST, the middle 20×20, in which its digits lie."""
    whole = _some(_found(folder, "mnist"), 1_500, 400, (1, 28, 28))
    return _with_images(whole, lambda images: images[:, :, 4:24, 4:24])


def shapes(folder: Path | None) -> Arrays:
    """3,000 and 600 drawn shapes of 20×20."""
    return Arrays(*drawing.draw(3_000, 20, seed=7, stream=0), *drawing.draw(600, 20, seed=7, stream=1))


def gratings(folder: Path | None) -> Arrays:
    """2,000 and 400 coloured gratings of 16×16 in noise; the class is which way they run."""
    return Arrays(*_gratings(2_000, seed=0), *_gratings(400, seed=1))


SOURCES: dict[str, Callable[[Path | None], Arrays]] = {
    "digits": digits, "cifar": cifar, "mnist": mnist, "shapes": shapes, "gratings": gratings,
}  # fmt: skip


def offline(name: str) -> bool:
    """Whether the source needs no folder."""
    return name not in ("cifar", "mnist")


@functools.cache
def source(name: str, folder: Path | None) -> Arrays:
    """One of `SOURCES`, made once."""
    return SOURCES[name](folder)


def shuffled(arrays: Arrays, seed: int = 0) -> Arrays:
    """Training labels given to other images at random."""
    return replace(arrays, train_labels=np.random.default_rng(seed).permutation(arrays.train_labels))


def noisy(part: float, seed: int = 0) -> Flaw:
    """That part of the training labels wrong: another class, all alike."""

    def flaw(arrays: Arrays) -> Arrays:
        random, labels = np.random.default_rng(seed), arrays.train_labels.copy()
        wrong = random.permutation(len(labels))[: round(part * len(labels))]
        labels[wrong] = (labels[wrong] + random.integers(1, CLASSES, len(wrong))) % CLASSES
        return replace(arrays, train_labels=labels)

    return flaw


def unbalanced(ratio: int, common: int = 2) -> Flaw:
    """Of all but the first `common` classes only one training image in `ratio`."""

    def flaw(arrays: Arrays) -> Arrays:
        rank = _rank(arrays.train_labels)
        return _train_rows(arrays, (arrays.train_labels < common) | (rank % ratio == 0))

    return flaw


def missing(*absent: int) -> Flaw:
    """No training image of these classes."""
    return lambda arrays: _train_rows(arrays, ~np.isin(arrays.train_labels, absent))


def enlarged(side: int) -> Flaw:
    """Reduced to `side` × `side` and enlarged again: its content is smaller than its size."""

    def flaw(arrays: Arrays) -> Arrays:
        return _with_images(arrays, lambda images: _resized(_resized(images, side), images.shape[-1]))

    return flaw


def first(count: int) -> Flaw:
    """Only so many training images."""
    return lambda arrays: _train_rows(arrays, np.arange(len(arrays.train_labels)) < count)


def leaked(part: float) -> Flaw:
    """That part of the test images replaced by training images."""

    def flaw(arrays: Arrays) -> Arrays:
        count = round(part * len(arrays.test_labels))
        rows = np.arange(count) % len(arrays.train_labels)
        images, labels = arrays.test_images.copy(), arrays.test_labels.copy()
        images[:count], labels[:count] = arrays.train_images[rows], arrays.train_labels[rows]
        return replace(arrays, test_images=images, test_labels=labels)

    return flaw


def tinted(arrays: Arrays, seed: int = 0) -> Arrays:
    """The class is the tint and nothing else: ten hues of one brightness, given to the images at random."""
    random = np.random.default_rng(seed)
    grey = [_grey(images) for images in (arrays.train_images, arrays.test_images)]
    labels = [random.integers(0, CLASSES, len(images)) for images in grey]
    train, test = (
        _HUES[label][:, :, None, None] * (80 + images * 0.4)
        for images, label in zip(grey, labels, strict=True)
    )
    return replace(
        arrays,
        train_images=_pixels(train), train_labels=labels[0],
        test_images=_pixels(test), test_labels=labels[1],
    )  # fmt: skip


def register(name: str, make: Callable[[], Arrays]) -> None:
    """Let recipes ask for the arrays by `name`, as for any data set."""

    def loader(options: NoOptions, progress: Progress) -> Arrays:
        return make()

    registry.add(
        DatasetSpec(
            name=name, title=name, summary="Made by the bench of diagnoses.", shape=shape_of(make()),
            classes=tuple(f"class {number}" for number in range(CLASSES)), train=0, test=0, loader=loader,
            origin="Made by the bench of diagnoses.", licence="As its source's.", offline=True,
            source="yours",
        )
    )  # fmt: skip


def shape_of(arrays: Arrays) -> Shape:
    """Of one image, `(C, H, W)`."""
    channels, height, width = arrays.train_images.shape[1:]
    return channels, height, width


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
    return _pixels(random.uniform(80, 170, (count, 3, 1, 1)) + colour * wave[:, None] + noise), labels


def _hues() -> Values:
    angle = 2 * np.pi * np.arange(CLASSES)[:, None] / CLASSES + np.array([0, 2 * np.pi / 3, 4 * np.pi / 3])
    hue = 1 + 0.6 * np.cos(angle)
    return np.asarray(hue / (hue @ np.array(LUMA))[:, None])  # Rec. BT.601, as grey is made.


_HUES = _hues()


def _whole(data: datasets.Dataset) -> Arrays:
    return Arrays(data.train.images, data.train.labels, data.test.images, data.test.labels)


def _found(folder: Path | None, name: str) -> datasets.Dataset:
    for place in (name, f"{name}-jpeg"):
        if folder is not None and (folder / place).is_dir():
            return datasets.load(folder / place)
    raise FileNotFoundError(f"'{folder}' holds no {name}.")


def _some(data: datasets.Dataset, train: int, test: int, shape: Shape) -> Arrays:
    import torch

    def first(part: datasets.Part, count: int) -> tuple[Pixels, Labels]:
        rows = datasets.splits.limit(part.labels, count, seed=0)
        return adapt(torch.from_numpy(part.pixels(rows)), shape).numpy(), part.labels[rows]

    return Arrays(*first(data.train, train), *first(data.test, test))


def _train_rows(arrays: Arrays, kept: NDArray[np.bool_]) -> Arrays:
    return replace(arrays, train_images=arrays.train_images[kept], train_labels=arrays.train_labels[kept])


def _with_images(arrays: Arrays, change: Callable[[Pixels], Pixels]) -> Arrays:
    return replace(arrays, train_images=change(arrays.train_images), test_images=change(arrays.test_images))


def _rank(labels: Labels) -> Labels:
    """The how-manieth of its class each row is."""
    rank = np.empty_like(labels)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rows] = np.arange(len(rows))
    return rank


def _resized(images: Pixels, side: int) -> Pixels:
    import torch

    channels = images.shape[1]
    return adapt(torch.from_numpy(np.ascontiguousarray(images)), (channels, side, side)).numpy()


def _grey(images: Pixels) -> Values:
    return np.asarray(images.mean(1, keepdims=True))


def _pixels(values: Values) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)
