"""DataModule: training, validation and test tensors of a run on the device, lazily decoded if too many.

Beside it: transforms and augmentation, and the data-quality report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.datasets import Dataset, Part, convert_images, describe_conversion
from cnnviz.datasets.spec import Pixels
from cnnviz.models import Shape
from cnnviz.training.recipe import Recipe

# Lazily decoded images: indexed like a tensor, decoded batch by batch.

SAMPLE = 4096
"""Number of images from which statistics are computed."""
AT_ONCE = 1 << 22
"""Number of values converted to floating point at once: 16 MiB, or 32 in double precision."""


class StreamedImages:
    """Lazy uint8 tensor `(N, C, H, W)`: indexed images are decoded by threads and sent to the device.

    What is asked for with `prefetch` is decoded while the device computes.
    """

    def __init__(self, part: Part, shape: Shape, device: torch.device) -> None:
        self._part, self._one = part, shape
        self.device = device
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: tuple[NDArray[np.int64], Future[Pixels]] | None = None

    @property
    def shape(self) -> torch.Size:
        """Shape of all images together."""
        return torch.Size((len(self._part), *self._one))

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Return the images at `rows`, int64 `(B,)` or a slice, as uint8 `(B, C, H, W)`.

        Row indices on a GPU cause a synchronization: pass them on the CPU where that matters. Images are sent
        to a GPU from pinned memory, so the copy is asynchronous.

        Raises:
            DataError: An image is damaged; the message has its name.
        """
        indices = self._indices(rows)
        if self._ahead is not None and np.array_equal(self._ahead[0], indices):
            (_, decoding), self._ahead = self._ahead, None
            pixels = torch.from_numpy(decoding.result())
        else:
            pixels = torch.from_numpy(self._part.pixels(indices))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        return convert_images(pixels.to(self.device, non_blocking=True), self._one)

    def prefetch(self, rows: Tensor | slice) -> None:
        """Decode the images at `rows` in the background, for the next index with the same rows.

        One batch is held at most. A damaged image raises when its batch is indexed.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="decode-ahead")
        indices = self._indices(rows)
        self._ahead = indices, self._pool.submit(self._part.pixels, indices)

    def close(self) -> None:
        """End the background thread; a later `prefetch` starts another."""
        pool, self._pool, self._ahead = self._pool, None, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _indices(self, rows: Tensor | slice) -> NDArray[np.int64]:
        return np.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu().numpy()]

    def sample(self) -> Tensor:
        """Return at most `SAMPLE` evenly spaced rows, int64, in ascending order."""
        return torch.linspace(0, len(self) - 1, min(SAMPLE, len(self))).round().long()


def portion(shape: Sequence[int], values: int | None = None) -> int:
    """Return the number of images of `shape`, `(…, C, H, W)`, with about `values` values, at least 1.

    By default `AT_ONCE`: memory is bounded by bytes, whatever the size of an image.
    """
    return max(1, (values or AT_ONCE) // max(1, math.prod(shape[-3:])))


def split(images: Tensor | StreamedImages, size: int) -> Iterator[Tensor]:
    """Iterate over images in batches of `size`; lazily decoded ones are decoded a batch ahead."""
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        if isinstance(images, StreamedImages) and start + size < len(images):
            images.prefetch(slice(start + size, start + 2 * size))
        yield batch


COLOR_IMAGES = 2000
"""Number of images that are also kept in color, enough to see whether color is informative."""
MAX_COLOR_BYTES = 64 << 20
"""Their maximum size in bytes."""


@dataclass(frozen=True)
class Labelled:
    """Images uint8 `(N, C, H, W)` and labels int64 `(N,)` on one device."""

    images: Tensor | StreamedImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def close(self) -> None:
        """End what decodes images ahead, if they are decoded lazily."""
        if isinstance(self.images, StreamedImages):
            self.images.close()


@dataclass(frozen=True)
class DataModule:
    """Data of a run: training, validation and test split, class names, fingerprint."""

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    """Messages on conversions of the images."""
    color_images: Labelled | None = None
    """Some training images in color, if color was converted to grayscale."""
    available: int | None = None
    """Number of training images without `limit`, not counting the validation split."""

    def close(self) -> None:
        """End what decodes images ahead."""
        for part in (self.train, self.validation, self.test):
            part.close()

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe, channels: int, device: torch.device) -> DataModule:
        """Split `dataset` as the recipe specifies, in the model's number of channels, on `device`.

        Images are copied there, unless they are so many that they are decoded lazily.

        Raises:
            DataError: A split is empty, or the channels cannot be converted.
        """
        split = dataset.split(recipe.validation, recipe.seed, recipe.limit)
        _, height, width = dataset.shape
        shape = (channels, height, width)

        def labelled(part: Part) -> Labelled:
            labels = torch.from_numpy(part.labels).to(device)
            if part.streams:
                return Labelled(StreamedImages(part, shape, device), labels)
            return Labelled(convert_images(part.tensors()[0].to(device), shape), labels)

        train = dataset.train.take(split.train)
        return cls(
            train=labelled(train),
            validation=labelled(dataset.train.take(split.validation)),
            test=labelled(dataset.test),
            classes=dataset.classes,
            fingerprint=dataset.fingerprint,
            notes=(*dataset.notes, *filter(None, [describe_conversion(dataset.shape, shape)])),
            color_images=_color_images(train, device) if (dataset.shape[0], channels) == (3, 1) else None,
            available=len(dataset.train) - len(split.validation),
        )


def _color_images(train: Part, device: torch.device) -> Labelled | None:
    if train.streams:
        return None
    count = min(len(train), COLOR_IMAGES, portion(train.shape, MAX_COLOR_BYTES))
    rows = np.linspace(0, len(train) - 1, count).astype(np.int64)
    images, labels = train.take(rows).tensors()
    return Labelled(images.to(device), labels.to(device))


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """Return the order of `count` images in an epoch, int64 `(count,)`, derived from seed and epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(seed, epoch, 0)))


def derive_seed(seed: int, number: int, purpose: int) -> int:
    """Derive a seed for a purpose in a step or epoch: SplitMix64 (Steele et al., 2014) over all three."""
    state = seed
    for value in (number, purpose):
        state = (state + 0x9E3779B97F4A7C15 * (value + 1)) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state % 2**63


def steps_per_epoch(count: int, batch: int) -> int:
    """Return the steps per epoch, including a smaller last batch unless it is a single image.

    Batch normalization cannot be trained on one value per channel.
    """
    full, remainder = divmod(count, batch)
    return max(1, full + (remainder > 1))
