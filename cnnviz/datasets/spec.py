"""Data-set specifications: metadata of a data set without reading it, and types shared by all sources.

Nothing here imports torch: listing all data sets must take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.models import NoOptions, Options, Shape

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


class DataError(ValueError):
    """Error for data that cannot be used; the message is one sentence on the problem and its solution."""


class Step(NamedTuple):
    """Progress of a long operation."""

    stage: str
    """Current stage, such as `decoding`."""
    done: int
    total: int | None
    """None where it is unknown."""
    unit: str = "images"
    """`images` or `bytes`."""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Ignore progress (the default callback)."""


@dataclass(frozen=True)
class Arrays:
    """Result of a registered loader: both parts, decoded.

    Images are uint8 `(N, C, H, W)`, labels int64 `(N,)` from 0.
    """

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels
    classes: tuple[str, ...] = ()
    """Class names of the source, where they differ from the spec's."""
    notes: tuple[str, ...] = ()


Loader = Callable[[Any, Progress], Arrays]


@dataclass(frozen=True)
class DatasetSpec:
    """Specification of one data set, defined beside the code that loads it.

    `loader(options, progress)` returns `Arrays`, or raises `DataError`.
    """

    name: str
    title: str
    summary: str
    """One sentence on its content."""
    shape: Shape
    """Shape of one image, `(C, H, W)`."""
    classes: tuple[str, ...]
    train: int
    """Number of training images."""
    test: int
    loader: Loader
    origin: str
    """Authors, and how it is obtained."""
    licence: str
    citation: str = ""
    offline: bool = False
    """Whether nothing is downloaded."""
    download_bytes: int = 0
    """Approximate download size; 0 for offline sources."""
    options: type[Options] = NoOptions
    revision: int = 1
    """Version of the loader's result, raised to invalidate cached data."""
    split: str = "The source's own split."
    source: str = "cnnviz"
    """Provider: `cnnviz`, `torchvision` or `yours`."""
    centered: bool = False
    """Whether the content fills a box of 20 in 28 pixels, its center of mass in the middle (as in MNIST)."""
