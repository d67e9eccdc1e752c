"""What is known of a data set before any of it is read: `DatasetSpec`; and the words that all sources share.

Nothing here imports torch: listing every data set must cost milliseconds.
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
    """Data that cannot be used; the message is one sentence that names what is wrong and what to do."""


class Step(NamedTuple):
    """How far a piece of long work has come."""

    stage: str
    """What is being done, as `decoding`."""
    done: int
    total: int | None
    """None where nobody can know."""
    unit: str = "images"
    """`images` or `bytes`."""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """A progress callback for who does not want to know."""


@dataclass(frozen=True)
class Arrays:
    """What a registered loader returns: both parts, decoded.

    Images are uint8 `(N, C, H, W)`, labels int64 `(N,)` from 0 on.
    """

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels
    classes: tuple[str, ...] = ()
    """Only where the source itself names them otherwise than the spec does."""
    notes: tuple[str, ...] = ()


Loader = Callable[[Any, Progress], Arrays]


@dataclass(frozen=True)
class DatasetSpec:
    """The facts of one data set, beside the code that loads it.

    `loader(options, progress)` returns `Arrays`, and raises `DataError` where it cannot.
    """

    name: str
    title: str
    summary: str
    """One sentence: what is in it."""
    shape: Shape
    """Of one image, `(C, H, W)`."""
    classes: tuple[str, ...]
    train: int
    """Images of the training part."""
    test: int
    loader: Loader
    origin: str
    """Who made it and how it comes here."""
    licence: str
    citation: str = ""
    offline: bool = False
    """True where nothing is downloaded."""
    download_bytes: int = 0
    """About how much is downloaded; 0 for what is offline."""
    options: type[Options] = NoOptions
    revision: int = 1
    """Raised when the loader comes to return something else, so that what is cached is made again."""
    split: str = "The source's own split."
    source: str = "cnnviz"
    """Who provides it: `cnnviz`, `torchvision`, `yours`."""
    centered: bool = False
    """True where what is light fills a box of 20 in 28 pixels, its center of mass in the middle (MNIST)."""
