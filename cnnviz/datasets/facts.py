"""What one looks at before training: class balance, pictures by class, mean image, channels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets.spec import Labels, Pixels

AT_ONCE = 1 << 24
"""Pixel values handled at once, so that a memory map need not be in memory."""


class Channels(NamedTuple):
    """Mean and standard deviation of each channel over all pixels, in [0, 1], float64 `(C,)`."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


class Grid(NamedTuple):
    """A mosaic, and where its pictures come from."""

    mosaic: Pixels
    """uint8 `(rows·H, columns·W, C)`: a row a class; black where a class has fewer pictures."""
    rows: Labels
    """Row of the part that each cell shows, int64 `(rows, columns)`; -1 for an empty one."""


def class_counts(labels: Labels, classes: int) -> Labels:
    """Images of each class, int64 `(classes,)`."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def _chunks(images: Pixels) -> list[Pixels]:
    step = max(1, AT_ONCE // max(1, images[0].size))
    return [images[start : start + step] for start in range(0, len(images), step)]


def channels(images: Pixels) -> Channels:
    """Statistics of images `(N, C, H, W)`, N ≥ 1; the spread is the population's, over all pixels."""
    # 256 counts a channel are exact, and cost less memory than any float.
    counts = np.zeros((images.shape[1], 256), dtype=np.int64)
    for chunk in _chunks(images):
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    return Channels(mean, np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1)))


def mean_image(images: Pixels) -> NDArray[np.float64]:
    """The mean of images `(N, C, H, W)`, N ≥ 1, in [0, 1], float64 `(C, H, W)`."""
    total = np.zeros(images.shape[1:], dtype=np.int64)
    for chunk in _chunks(images):
        total += chunk.sum(axis=0, dtype=np.int64)
    return np.asarray(total / (255 * len(images)))


def grid(images: Pixels, labels: Labels, classes: list[int], columns: int = 10, seed: int = 0) -> Grid:
    """Pictures `(N, C, H, W)` of each of `classes`, drawn without repetition, by `seed`."""
    _, channels_, height, width = images.shape
    random = np.random.default_rng(seed)
    rows = np.full((len(classes), columns), -1, dtype=np.int64)
    mosaic = np.zeros((len(classes), height, columns, width, channels_), dtype=np.uint8)
    for line, label in enumerate(classes):
        drawn = random.permutation(np.flatnonzero(labels == label))[:columns]
        rows[line, : len(drawn)] = drawn
        mosaic[line, :, : len(drawn)] = images[drawn].transpose(2, 0, 3, 1)
    return Grid(mosaic.reshape(len(classes) * height, columns * width, channels_), rows)
