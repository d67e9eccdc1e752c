"""Which images of a data set excite each channel of a layer most, and where in the image."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.analysis.types import ReceptiveField
from cnnviz.datasets.spec import Progress, silent
from cnnviz.interpret import cache
from cnnviz.interpret.activations import reduced
from cnnviz.interpret.cache import Batches, Stop, never, stepped
from cnnviz.interpret.mosaic import Floats, as_map_batch

TOP = 9
"""Images kept for each channel."""


_Best = tuple[Tensor, Tensor, Tensor, Tensor]
"""Values, numbers of images, rows and columns, `(k, C)` each."""


@dataclass(frozen=True)
class Exciting:
    """For each of C channels the k images whose strongest cell is strongest, falling."""

    images: NDArray[np.int64]
    """`(C, k)`: numbers in the order in which images came."""
    values: Floats
    """`(C, k)`: the strongest cell's value."""
    cells: NDArray[np.int64]
    """`(C, k, 2)`: that cell's `(y, x)` on the map."""

    def patch(
        self, channel: int, place: int, field: ReceptiveField, input_size: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """The pixels `(top, left, bottom, right)` of the input that the cell sees, ends excluded."""
        y, x = self.cells[channel, place].tolist()
        return field.box((y, x), input_size)


def exciting(
    model: nn.Module,
    batches: Batches,
    layers: Collection[str],
    top: int = TOP,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> dict[str, Exciting]:
    """Go through a data set once and keep the `top` images of every channel of each layer.

    Several layers cost hardly more than the last of them. Of equal values the image that came first wins; of
    fewer than `top` images all are kept. Raises `UnknownLayerError`, `StoppedError` when stopped, and
    `InterpretError` where there are no images.
    """
    best: dict[str, _Best] = {}
    done = 0
    for images, _ in stepped(batches, total, "exciting images", progress, stop):
        keep = functools.partial(_kept, (images.shape[-2], images.shape[-1]))
        for layer, (values, rows, columns) in reduced(model, images, layers, keep).items():
            numbers = torch.arange(done, done + len(images))[:, None].expand(values.shape)
            best[layer] = _merged(best.get(layer), (values, numbers, rows, columns), top)
        done += len(images)
    return {layer: _describe(strongest) for layer, strongest in best.items()}


def _describe(best: _Best) -> Exciting:
    values, numbers, rows, columns = (part.T.contiguous() for part in best)
    return Exciting(numbers.numpy(), values.numpy(), torch.stack([rows, columns], dim=2).numpy())


def _kept(size: tuple[int, int], layer: str, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _strongest(as_map_batch(out, size))


def _strongest(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of maps `(N, C, H, W)` the largest value and its row and column, `(N, C)` each."""
    values, cells = maps.flatten(2).float().max(dim=2)
    width = maps.shape[3]
    return values.cpu(), cells.cpu() // width, cells.cpu() % width


def _merged(best: _Best | None, fresh: _Best, top: int) -> _Best:
    """The `top` of what was kept and what came, by value."""
    parts = fresh if best is None else tuple(torch.cat(two) for two in zip(best, fresh, strict=True))
    order = torch.sort(parts[0], dim=0, descending=True, stable=True).indices[:top]
    values, numbers, rows, columns = (part.gather(0, order) for part in parts)
    return values, numbers, rows, columns


def remembered(key: str) -> Exciting | None:
    """What `remember` kept under this key (see `storage.key_of`), or None."""
    stored = cache.load("exciting", key)
    if stored is None or stored.keys() != {"images", "values", "cells"}:
        return None
    return Exciting(stored["images"], stored["values"], stored["cells"])


def remember(key: str, strongest: Exciting) -> None:
    """Keep a result on disk; raises `DataError` where the disk is full or forbids writing."""
    cache.save(
        "exciting", key, {"images": strongest.images, "values": strongest.values, "cells": strongest.cells}
    )
