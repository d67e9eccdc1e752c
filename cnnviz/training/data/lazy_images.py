"""Images that are too many to have decoded: indexed like a tensor of them all, decoded batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from cnnviz.datasets import Part, adapt
from cnnviz.models import Shape

SAMPLE = 4096
"""Images that statistics are taken from."""
AT_ONCE = 1 << 22
"""Values that are converted to floating point at once: 16 MiB, or 32 in double precision."""


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

        Rows on a GPU have to be waited for: give them on the CPU where that matters. The images are sent to a
        GPU from pinned memory, so that the copy holds up nothing.

        Raises `DataError`, with the picture's name, where one is damaged.
        """
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        pixels = torch.from_numpy(self._part.pixels(chosen))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        return adapt(pixels.to(self.device, non_blocking=True), self._one)

    def sample(self) -> Tensor:
        """Rows of evenly spaced images, at most `SAMPLE`, int64 and in their order."""
        return torch.linspace(0, len(self) - 1, min(SAMPLE, len(self))).round().long()


def portion(shape: Sequence[int], values: int | None = None) -> int:
    """How many images of `shape`, `(…, C, H, W)`, are handled at once: as many as have `values`, at least 1.

    By default `AT_ONCE`: memory is bounded by bytes, whatever the size of an image.
    """
    return max(1, (values or AT_ONCE) // max(1, math.prod(shape[-3:])))


def split(images: Tensor | StreamedImages, size: int) -> Iterator[Tensor]:
    """All images, `size` at a time."""
    return (images[start : start + size] for start in range(0, len(images), size))
