"""Images that are too many to have decoded: indexed like a tensor of them all, decoded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cnnviz.datasets import Part, adapt
from cnnviz.models import Shape

SAMPLE = 4096
"""Images that statistics are taken from."""


class StreamedImages:
    """Stands for uint8 `(N, C, H, W)` on a device: what is asked for is decoded by threads and sent there."""

    def __init__(self, part: Part, shape: Shape, device: torch.device) -> None:
        self._part, self._one = part, shape
        self.device = device

    @property
    def shape(self) -> torch.Size:
        """Of all images together."""
        return torch.Size((len(self._part), *self._one))

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The images of `rows`, int64 `(B,)` or a slice, as uint8 `(B, C, H, W)`.

        Raises `DataError`, with the picture's name, where one is damaged.
        """
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        pixels = torch.from_numpy(self._part.pixels(chosen))
        return adapt(pixels.to(self.device), self._one)

    def sample(self) -> Tensor:
        """Evenly spaced images, at most `SAMPLE`, in their order."""
        return self[torch.linspace(0, len(self) - 1, min(SAMPLE, len(self))).round().long()]


def split(images: Tensor | StreamedImages, size: int) -> Iterator[Tensor]:
    """All images, `size` at a time."""
    return (images[start : start + size] for start in range(0, len(images), size))
