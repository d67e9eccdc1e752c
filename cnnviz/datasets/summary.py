"""Data-set statistics, computed once and stored beside the cached images: `summary(dataset)`.

All statistics are those of the training part, including images held out later, and exact: integer sums.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets.dataset import Dataset, stratified_subset
from cnnviz.datasets.spec import Labels, Pixels, Progress, Step, silent

SAMPLE = 5_000
"""Size of the stratified sample that is used where the images are too many to decode all."""
MAX_VALUES = 1 << 23
"""Maximum values of all class means together: 64 MiB of sums, and as much for the division."""
AT_ONCE = 1 << 21
"""Pixel values per batch: 16 MiB in double precision, and as much for the transposed copy."""
FILE = "summary-1.npz"
"""The number is the version of the layout below."""


class Channels(NamedTuple):
    """Mean and standard deviation of each channel over all pixels, in [0, 1], float64 `(C,)`."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """Statistics of a training part, computed from `seen` images."""

    seen: int
    train_counts: Labels
    """Images per class, int64 `(K,)`."""
    test_counts: Labels
    mean_image: NDArray[np.float64]
    """Mean image in [0, 1], `(C, H, W)`."""
    class_means: NDArray[np.float32]
    """Mean image of each class in [0, 1], `(K, C, H, W)`; `(0, C, H, W)` where that would be too large."""
    histogram: Labels
    """Frequency of each of the 256 values per channel, int64 `(C, 256)`."""
    covariance: NDArray[np.float64]
    """Population covariance of the channels over all pixels, values in [0, 1], `(C, C)`."""

    @property
    def sampled(self) -> bool:
        """Whether the statistics are those of a sample."""
        return self.seen < int(self.train_counts.sum())

    @property
    def channels(self) -> Channels:
        """Mean and population standard deviation of each channel."""
        values = np.arange(256) / 255
        weights = self.histogram / self.histogram.sum(axis=1, keepdims=True)
        mean = weights @ values
        return Channels(mean, np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1)))


def summary(dataset: Dataset, progress: Progress = silent) -> Summary:
    """Return the statistics of `dataset`, from the cache or computed and stored.

    Where the images are too many to decode all, they are those of a stratified sample of `SAMPLE`.

    Raises:
        DataError: For damaged images.
    """
    path = dataset.folder / FILE
    stored = _read(path)
    if stored is None:
        stored = computed(dataset, progress)
        _write(path, stored)
    return stored


def computed(dataset: Dataset, progress: Progress = silent) -> Summary:
    """Compute the statistics."""
    part, classes = dataset.train, len(dataset.classes)
    rows = stratified_subset(part.labels, SAMPLE, seed=0) if part.streams else None
    sums = _Sums(dataset.shape, classes)
    total = len(part) if rows is None else len(rows)
    step = max(1, AT_ONCE // max(1, int(np.prod(dataset.shape))))
    for images, labels in part.iter_batches(step, rows):
        sums.add(images, labels)
        progress(Step("computing statistics", sums.seen, total))
    return Summary(
        seen=sums.seen,
        train_counts=class_counts(part.labels, classes),
        test_counts=class_counts(dataset.test.labels, classes),
        mean_image=sums.total / (255 * sums.seen),
        class_means=sums.class_means(),
        histogram=sums.histogram,
        covariance=sums.covariance(),
    )


def class_counts(labels: Labels, classes: int) -> Labels:
    """Count the images of each class, int64 `(classes,)`."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


class _Sums:
    """Running sums over batches of images."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        self.seen = 0
        self.total = np.zeros(shape, dtype=np.int64)
        self.histogram = np.zeros((shape[0], 256), dtype=np.int64)
        is_small = classes * int(np.prod(shape)) <= MAX_VALUES
        self._by_class = np.zeros((classes if is_small else 0, *shape), dtype=np.int64)
        self._of_class = np.zeros(classes, dtype=np.int64)
        # Integers below 2**53 are exact in float64, for which matrix products are fast.
        self._products = np.zeros((shape[0], shape[0]))

    def add(self, images: Pixels, labels: Labels) -> None:
        """Add images uint8 `(B, C, H, W)`."""
        self.seen += len(images)
        self._of_class += class_counts(labels, len(self._of_class))
        self.total += images.sum(axis=0, dtype=np.int64)
        for label in np.unique(labels) if len(self._by_class) else ():
            self._by_class[label] += images[labels == label].sum(axis=0, dtype=np.int64)
        for channel, counts in enumerate(self.histogram):
            counts += np.bincount(images[:, channel].ravel(), minlength=256)
        flat = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1).astype(np.float64)
        self._products += flat @ flat.T

    def class_means(self) -> NDArray[np.float32]:
        counts = self._of_class[: len(self._by_class), None, None, None]
        return np.asarray(self._by_class / (255 * np.maximum(counts, 1)), dtype=np.float32)

    def covariance(self) -> NDArray[np.float64]:
        pixels = self.seen * self.total[0].size
        mean = self.total.sum(axis=(1, 2)) / pixels
        return np.asarray((self._products / pixels - np.outer(mean, mean)) / 255**2)


def _read(path: Path) -> Summary | None:
    try:
        # `np.load` does not close a file that it finds to be damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            values = {field.name: stored[field.name] for field in fields(Summary)}
        return Summary(**values | {"seen": int(values["seen"])})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # Absent, or damaged from outside: it is computed again.
        return None


def _write(path: Path, summary: Summary) -> None:
    """Write atomically; errors of a full or unwritable disk are ignored, since it can be computed again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **{field.name: getattr(summary, field.name) for field in fields(Summary)})
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
