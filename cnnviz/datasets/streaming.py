"""Images too many to keep decoded: encoded in one file, decoded by threads as they are asked for."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cnnviz.datasets.decoding import in_order
from cnnviz.datasets.packing import Blob
from cnnviz.datasets.pictures import decode
from cnnviz.datasets.spec import Labels, Pixels
from cnnviz.models import Shape

NAMES_ENCODING = "utf-8"


@dataclass(frozen=True)
class Stream:
    """Encoded images of one part, in its order; what is decoded is bounded by the batches under way."""

    path: Path
    """All pictures, one after another."""
    names: Path
    """What each picture of the file is called, a line each, in the order of `numbers`."""
    numbers: Labels
    """Which line of `names` belongs to each image, int64 `(N,)`."""
    spans: Labels
    """Begin and end of each image in the file, int64 `(N, 2)`."""
    shape: Shape
    """Of one image, `(C, H, W)`."""

    def __len__(self) -> int:
        return len(self.spans)

    @cached_property
    def _blob(self) -> Blob:
        return Blob(self.path)

    def take(self, rows: Labels) -> Stream:
        """The images of `rows`, in that order."""
        return replace(self, numbers=self.numbers[rows], spans=self.spans[rows])

    def read(self, rows: Labels) -> Pixels:
        """Decode the images of `rows` here and now, uint8 `(B, C, H, W)`; raises `DataError` for damage."""
        images = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for target, row in zip(images, rows, strict=True):
            begin, end = self.spans[row]
            target[:] = decode(
                self._blob.read(begin, end), _Name(self, row), self.shape[1:], self.shape[0] == 3
            )
        return images

    def batches(self, size: int, rows: Labels) -> Generator[Pixels, None, None]:
        """Yield `(B, C, H, W)`, B ≤ `size`, in the order of `rows`, decoded ahead by a few threads."""
        return in_order(self.read, (rows[start : start + size] for start in range(0, len(rows), size)))


@dataclass(frozen=True)
class _Name:
    """A picture's name, looked up only for a message."""

    stream: Stream
    row: int

    def __str__(self) -> str:
        number = int(self.stream.numbers[self.row])
        with self.stream.names.open(encoding=NAMES_ENCODING) as lines:
            return next(line.rstrip("\n") for index, line in enumerate(lines) if index == number)
