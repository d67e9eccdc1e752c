"""What can be wrong with data: every flaw is a function from arrays to arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.diagnosis_runs.drawn import CLASSES, pixels
from benchmarks.diagnosis_runs.sources import adapted
from cnnviz.datasets import registry
from cnnviz.datasets.dataset import LUMA
from cnnviz.datasets.spec import Arrays, DatasetSpec, Labels, Pixels, Progress
from cnnviz.models import NoOptions, Shape

Flaw = Callable[[Arrays], Arrays]
Values = NDArray[np.float64]


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
        channels, *_, whole = arrays.train_images.shape[1:]
        return adapted(adapted(arrays, (channels, side, side)), (channels, whole, whole))

    return flaw


def moved(by: int) -> Flaw:
    """All images, to learn and to test, moved by up to `by` pixels: no flaw, but harder with few images."""

    def flaw(arrays: Arrays) -> Arrays:
        return replace(
            arrays,
            train_images=_moved(arrays.train_images, by, seed=0),
            test_images=_moved(arrays.test_images, by, seed=1),
        )

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
        train_images=pixels(train), train_labels=labels[0],
        test_images=pixels(test), test_labels=labels[1],
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


def _moved(images: Pixels, by: int, seed: int) -> Pixels:
    """Each somewhere else by up to `by` pixels; the border is repeated where nothing is left."""
    random, side = np.random.default_rng(seed), images.shape[-1]
    wide = np.pad(images, ((0, 0), (0, 0), (by, by), (by, by)), mode="edge")
    places = random.integers(0, 2 * by + 1, (len(images), 2))
    return np.stack(
        [image[:, y : y + side, x : x + side] for image, (y, x) in zip(wide, places, strict=True)]
    )


def _hues() -> Values:
    angle = 2 * np.pi * np.arange(CLASSES)[:, None] / CLASSES + np.array([0, 2 * np.pi / 3, 4 * np.pi / 3])
    hue = 1 + 0.6 * np.cos(angle)
    return np.asarray(hue / (hue @ np.array(LUMA))[:, None])  # Rec. BT.601, as gray is made.


_HUES = _hues()


def _train_rows(arrays: Arrays, kept: NDArray[np.bool_]) -> Arrays:
    return replace(arrays, train_images=arrays.train_images[kept], train_labels=arrays.train_labels[kept])


def _rank(labels: Labels) -> Labels:
    """The how-manieth of its class each row is."""
    rank = np.empty_like(labels)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rows] = np.arange(len(rows))
    return rank


def _grey(images: Pixels) -> Values:
    return np.asarray(images.mean(1, keepdims=True))
