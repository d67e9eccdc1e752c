"""Whatever a layer gives, as maps `(C, H, W)`: one picture a channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnnviz.interpret import InterpretError

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


def as_maps(values: Tensor, input_size: tuple[int, int]) -> Floats:
    """One image's output, without the batch, as float32 `(C, H, W)`.

    A vector `(F,)` becomes F maps of one cell. Maps whose channels come last, as Swin's `(H, W, C)`, are told
    by their sides being in the input's proportion. Tokens `(L, E)` become E maps: L laid out in that
    proportion where it is a whole grid, with or without a class token before it, else in one row.

    Raises `InterpretError` for what has more than three axes.
    """
    array = values.detach().cpu().float().numpy()
    if array.ndim <= 1:
        return array.reshape(-1, 1, 1)
    if array.ndim == 2:
        return _tokens(array, input_size)
    if array.ndim == 3:
        return np.ascontiguousarray(array.transpose(2, 0, 1)) if _last(array.shape, input_size) else array
    raise InterpretError(f"What has the shape {'×'.join(map(str, array.shape))} cannot be shown as maps.")


def as_map_batch(values: Tensor, input_size: tuple[int, int]) -> Tensor:
    """A batch's output as maps `(N, C, H, W)`; tokens `(N, L, E)` as E maps of one row.

    Raises `InterpretError` for other shapes.
    """
    if values.dim() == 2:
        return values[:, :, None, None]
    if values.dim() == 3:
        return values.transpose(1, 2)[:, :, None, :]
    if values.dim() != 4:
        raise InterpretError(
            f"What has the shape {'×'.join(map(str, values.shape))} cannot be shown as maps."
        )
    return values.permute(0, 3, 1, 2) if _last(values.shape[1:], input_size) else values


def _last(shape: tuple[int, ...], input_size: tuple[int, int]) -> bool:
    first, second, third = shape
    height, width = input_size

    def strays(rows: int, columns: int) -> float:
        return abs(math.log(rows * width / (columns * height)))

    return strays(first, second) < 0.1 <= strays(second, third)


def _tokens(array: Floats, input_size: tuple[int, int]) -> Floats:
    length, width = array.shape
    for extra in (0, 1):
        rows = round(math.sqrt((length - extra) * input_size[0] / input_size[1]))
        if rows and (length - extra) % rows == 0 and length - extra > 1:
            grid = array[extra:].reshape(rows, -1, width)
            if abs(math.log(rows * input_size[1] / (grid.shape[1] * input_size[0]))) < 0.1:
                return np.ascontiguousarray(grid.transpose(2, 0, 1))
    return np.ascontiguousarray(array.T[:, None, :])
