"""A prepared data set as everything else sees it: NumPy over memory maps, until torch is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnviz.datasets import splits
from cnnviz.datasets.spec import Labels, Pixels
from cnnviz.models import Shape

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Part:
    """Training or test images, decoded: uint8 `(N, C, H, W)` over a memory map, and int64 labels `(N,)`.

    The map is private to the process: whoever writes to it changes nothing on disk.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> Shape:
        """Of one image, `(C, H, W)`."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images uint8 `(N, C, H, W)` and labels int64 `(N,)` as tensors that share this memory."""
        import torch

        return torch.from_numpy(self.images), torch.from_numpy(self.labels)

    def take(self, rows: Labels) -> Part:
        """The images of `rows`, in that order, copied into memory."""
        return Part(self.images[rows], self.labels[rows])

    def iter_batches(self, size: int, rows: Labels | None = None) -> Iterator[tuple[Pixels, Labels]]:
        """Yield `(B, C, H, W)` and `(B,)` with B ≤ `size`, in the order of `rows` (all, where None)."""
        for start in range(0, len(self) if rows is None else len(rows), size):
            chosen = slice(start, start + size) if rows is None else rows[start : start + size]
            yield self.images[chosen], self.labels[chosen]


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

    def split(self, validation: float = 0.1, seed: int = 0, limit: int | None = None) -> Split:
        """Choose a stratified `validation` fraction of the training part, and at most `limit` of the others.

        The same arguments give the same rows. Raises `DataError` for a fraction outside [0, 1) or one that
        leaves nothing on one side, and for a limit below one.
        """
        train, held_out = splits.hold_out(self.train.labels, validation, seed)
        return Split(train[splits.limit(self.train.labels[train], limit, seed)], held_out)
