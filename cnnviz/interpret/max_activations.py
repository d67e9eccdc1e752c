"""Top-activating images: the images of a data set with the largest activation of each channel, and where."""

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
from cnnviz.interpret.cache import Batches, Stop, iterate_batches, never_stop
from cnnviz.interpret.hooks import reduce_activations
from cnnviz.interpret.mosaic import Floats, as_map_batch

TOP = 9
"""Images per channel."""


_Best = tuple[Tensor, Tensor, Tensor, Tensor]
"""Values, image indices, rows and columns, `(k, C)` each."""


@dataclass(frozen=True)
class MaxActivations:
    """Top-activating images: for each of C channels the k images with the largest activation, descending."""

    images: NDArray[np.int64]
    """`(C, k)`: image indices, in the order of the data set."""
    values: Floats
    """`(C, k)`: the largest activation in the image."""
    cells: NDArray[np.int64]
    """`(C, k, 2)`: its position `(y, x)` on the map."""

    def patch(
        self, channel: int, rank: int, field: ReceptiveField, input_size: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Return the receptive field `(top, left, bottom, right)` of the cell in pixels, ends excluded."""
        y, x = self.cells[channel, rank].tolist()
        return field.box((y, x), input_size)


def find_max_activations(
    model: nn.Module,
    batches: Batches,
    layers: Collection[str],
    top: int = TOP,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never_stop,
) -> dict[str, MaxActivations]:
    """Find the `top` images with the largest activation of every channel of each layer, in one pass.

    Several layers cost hardly more than the last of them. Of equal values the first image wins; of fewer than
    `top` images all are returned.

    Raises:
        UnknownLayerError: For a layer that does not exist.
        StoppedError: When stopped.
        InterpretError: Where there are no images.
    """
    best: dict[str, _Best] = {}
    images_done = 0
    for images, _ in iterate_batches(batches, total, "exciting images", progress, stop):
        maxima = functools.partial(_maxima_of, (images.shape[-2], images.shape[-1]))
        for layer, (values, rows, columns) in reduce_activations(model, images, layers, maxima).items():
            indices = torch.arange(images_done, images_done + len(images))[:, None].expand(values.shape)
            best[layer] = _merge(best.get(layer), (values, indices, rows, columns), top)
        images_done += len(images)
    return {layer: _to_arrays(strongest) for layer, strongest in best.items()}


def _to_arrays(best: _Best) -> MaxActivations:
    values, indices, rows, columns = (part.T.contiguous() for part in best)
    return MaxActivations(indices.numpy(), values.numpy(), torch.stack([rows, columns], dim=2).numpy())


def _maxima_of(size: tuple[int, int], layer: str, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _maxima(as_map_batch(out, size))


def _maxima(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maximum of maps `(N, C, H, W)`, its row and its column, `(N, C)` each."""
    values, cells = maps.flatten(2).float().max(dim=2)
    width = maps.shape[3]
    return values.cpu(), cells.cpu() // width, cells.cpu() % width


def _merge(best: _Best | None, new: _Best, top: int) -> _Best:
    """Merge two sets of candidates and return the `top` by value."""
    parts = new if best is None else tuple(torch.cat(pair) for pair in zip(best, new, strict=True))
    order = torch.sort(parts[0], dim=0, descending=True, stable=True).indices[:top]
    values, indices, rows, columns = (part.gather(0, order) for part in parts)
    return values, indices, rows, columns


def load_cached(key: str) -> MaxActivations | None:
    """Load the result cached under this key (see `cache.cache_key`); None where there is none."""
    stored = cache.load("exciting", key)
    if stored is None or stored.keys() != {"images", "values", "cells"}:
        return None
    return MaxActivations(stored["images"], stored["values"], stored["cells"])


def save_cached(key: str, strongest: MaxActivations) -> None:
    """Cache a result on disk; raises `DataError` where the disk is full or not writable."""
    cache.save(
        "exciting", key, {"images": strongest.images, "values": strongest.values, "cells": strongest.cells}
    )
