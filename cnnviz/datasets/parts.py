"""A prepared data set as everything else sees it: NumPy over memory maps, until torch is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets import splits
from cnnviz.datasets.spec import DataError, Labels, Pixels
from cnnviz.datasets.streaming import Stream
from cnnviz.models import Shape

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Part:
    """Training or test images, uint8 `(N, C, H, W)`, and their int64 labels `(N,)`.

    They lie decoded in a memory map, or are decoded as they stream where they are too many. The map is
    private to the process: whoever writes to it changes nothing on disk.
    """

    source: Pixels | Stream
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def streams(self) -> bool:
        """Whether there are too many images to have decoded; `iter_batches` and `pixels` serve then."""
        return isinstance(self.source, Stream)

    @property
    def images(self) -> Pixels:
        """All images, uint8 `(N, C, H, W)`; raises `DataError` where they stream."""
        if isinstance(self.source, Stream):
            raise DataError(
                "There are too many images to have all decoded; take some, or go through batches."
            )
        return self.source

    @property
    def shape(self) -> Shape:
        """Of one image, `(C, H, W)`."""
        channels, height, width = self.source.shape[-3:]
        return channels, height, width

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images uint8 `(N, C, H, W)` and labels int64 `(N,)` as tensors that share this memory.

        Raises `DataError` where the images stream.
        """
        import torch

        return torch.from_numpy(self.images), torch.from_numpy(self.labels)

    def pixels(self, rows: Labels) -> Pixels:
        """The images of `rows`, in that order, copied or decoded into memory: uint8 `(B, C, H, W)`."""
        if isinstance(self.source, Stream):
            return np.concatenate(
                [*self.source.batches(64, rows), np.empty((0, *self.shape), dtype=np.uint8)]
            )
        return self.source[rows]

    def take(self, rows: Labels) -> Part:
        """A part of the images of `rows`, in that order; streaming if this one does."""
        chosen = self.source.take(rows) if isinstance(self.source, Stream) else self.source[rows]
        return Part(chosen, self.labels[rows])

    def iter_batches(self, size: int, rows: Labels | None = None) -> Iterator[tuple[Pixels, Labels]]:
        """Yield `(B, C, H, W)` and `(B,)` with B ≤ `size`, in the order of `rows` (all, where None).

        Images that stream are decoded a few batches ahead, by threads; memory stays bounded.
        """
        chosen = np.arange(len(self)) if rows is None else rows
        starts = range(0, len(chosen), size)
        if isinstance(self.source, Stream):
            with closing(self.source.batches(size, chosen)) as batches:
                for start, images in zip(starts, batches, strict=True):
                    yield images, self.labels[chosen[start : start + size]]
            return
        for start in starts:
            # A slice of the map copies nothing.
            here = slice(start, start + size) if rows is None else rows[start : start + size]
            yield self.source[here], self.labels[here]


class Split(NamedTuple):
    """Rows of the training part, int64, ascending and disjoint."""

    train: Labels
    validation: Labels


@dataclass(frozen=True)
class Dataset:
    """A data set that is ready: decoded, cached, opened."""

    name: str
    """What it is asked for by: a registered name, a path, a name at Hugging Face."""
    title: str
    classes: tuple[str, ...]
    train: Part
    test: Part
    fingerprint: str
    """SHA-256 of the ordered source bytes and labels, hexadecimal."""
    notes: tuple[str, ...]
    """Sentences on what was done to it: how it was split, cropped, converted."""
    folder: Path
    """Where it is cached."""

    @property
    def shape(self) -> Shape:
        """Of one image, `(C, H, W)`."""
        return self.train.shape

    @property
    def streams(self) -> bool:
        """Whether there are too many images to have them decoded."""
        return self.train.streams

    def split(self, validation: float = 0.1, seed: int = 0, limit: int | None = None) -> Split:
        """Choose a stratified `validation` fraction of the training part, and at most `limit` of the others.

        The same arguments give the same rows. Raises `DataError` for a fraction outside [0, 1) or one that
        leaves nothing on one side, and for a limit below one.
        """
        train, held_out = splits.hold_out(self.train.labels, validation, seed)
        return Split(train[splits.limit(self.train.labels[train], limit, seed)], held_out)
