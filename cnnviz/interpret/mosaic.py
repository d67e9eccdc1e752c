"""Feature maps of a layer: conversion from any output, channel order, flags, and a mosaic of all channels."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.interpret import InterpretError
from cnnviz.interpret.colormaps import DIVERGING, GAP, SEQUENTIAL, Bytes, Theme, apply_colormap

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


def as_maps(values: Tensor, input_size: tuple[int, int]) -> Floats:
    """Convert one image's output, without the batch, to float32 maps `(C, H, W)`.

    A vector `(F,)` becomes F maps of one cell. Channels-last maps, as Swin's `(H, W, C)`, are recognized by
    the aspect ratio of the input. Tokens `(L, E)` become E maps: L as a grid of that aspect ratio where it
    fits, with or without a class token in front, else as one row.

    Raises:
        InterpretError: For more than three axes.
    """
    array = values.detach().cpu().float().numpy()
    if array.ndim <= 1:
        return array.reshape(-1, 1, 1)
    if array.ndim == 2:
        return _tokens(array, input_size)
    if array.ndim == 3:
        return (
            np.ascontiguousarray(array.transpose(2, 0, 1))
            if _is_channels_last(array.shape, input_size)
            else array
        )
    raise InterpretError(f"What has the shape {'×'.join(map(str, array.shape))} cannot be shown as maps.")


def as_map_batch(values: Tensor, input_size: tuple[int, int]) -> Tensor:
    """Convert a batch's output to maps `(N, C, H, W)`; tokens `(N, L, E)` become E maps of one row.

    Raises:
        InterpretError: For other shapes.
    """
    if values.dim() == 2:
        return values[:, :, None, None]
    if values.dim() == 3:
        return values.transpose(1, 2)[:, :, None, :]
    if values.dim() != 4:
        raise InterpretError(
            f"What has the shape {'×'.join(map(str, values.shape))} cannot be shown as maps."
        )
    return values.permute(0, 3, 1, 2) if _is_channels_last(values.shape[1:], input_size) else values


def _is_channels_last(shape: tuple[int, ...], input_size: tuple[int, int]) -> bool:
    first, second, third = shape
    height, width = input_size

    def distortion(rows: int, columns: int) -> float:
        return abs(math.log(rows * width / (columns * height)))

    return distortion(first, second) < 0.1 <= distortion(second, third)


def _tokens(array: Floats, input_size: tuple[int, int]) -> Floats:
    length, width = array.shape
    for class_tokens in (0, 1):
        rows = round(math.sqrt((length - class_tokens) * input_size[0] / input_size[1]))
        if rows and (length - class_tokens) % rows == 0 and length - class_tokens > 1:
            grid = array[class_tokens:].reshape(rows, -1, width)
            if abs(math.log(rows * input_size[1] / (grid.shape[1] * input_size[0]))) < 0.1:
                return np.ascontiguousarray(grid.transpose(2, 0, 1))
    return np.ascontiguousarray(array.T[:, None, :])


# Channel order.

Order = Literal["index", "activity", "spread", "similarity"]
ORDERS: tuple[Order, ...] = get_args(Order)
CELLS = 1024
"""Most cells of a map that similarity is computed on."""


def order_channels(maps: Floats, order: Order = "index") -> NDArray[np.int64]:
    """Return the order of the channels of maps `(C, H, W)`, a permutation of 0 … C − 1, int64 `(C,)`.

    `activity`: by descending mean absolute activation. `spread`: by descending standard deviation.
    `similarity`: by average-linkage clustering of 1 − correlation, so that similar maps are neighbors;
    constant maps last. The sort is stable.

    Raises:
        InterpretError: For another order.
    """
    flat = np.nan_to_num(maps.reshape(len(maps), -1), posinf=0.0, neginf=0.0)
    if order == "index":
        return np.arange(len(maps))
    if order == "activity":
        return np.argsort(-np.abs(flat).mean(1), kind="stable")
    if order == "spread":
        return np.argsort(-flat.std(1), kind="stable")
    if order == "similarity":
        return _by_similarity(flat)
    raise InterpretError(f"Channels are ordered by {', '.join(ORDERS[:-1])} or {ORDERS[-1]}, not {order!r}.")


def _by_similarity(flat: Floats) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if flat.shape[1] == 1:
        return np.argsort(-flat[:, 0], kind="stable")
    sampled = flat[:, :: -(-flat.shape[1] // CELLS)]
    centered = sampled - sampled.mean(1, keepdims=True)
    norms = np.linalg.norm(centered, axis=1)
    varies = np.flatnonzero(norms > 1e-6 * np.abs(sampled).max(initial=1e-30))
    constant = np.setdiff1d(np.arange(len(flat)), varies)
    if len(varies) < 3:
        return np.concatenate([varies, constant])
    unit = centered[varies] / norms[varies, None]
    distance = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distance, 0)
    leaves = leaves_list(linkage(squareform(distance, checks=False), "average"))
    return np.concatenate([varies[leaves], constant])


Range = Literal["map", "layer", "network"]
RANGES: tuple[Range, ...] = get_args(Range)
Scale = Literal["auto", "sequential", "diverging"]
SHAPE = 1.6
"""Target aspect ratio of a mosaic, width by height."""


@dataclass(frozen=True)
class Mosaic:
    """Mosaic of feature maps: `columns` per row, `gap` pixels apart, `zoom`×`zoom` pixels per cell.

    `step` > 1 means that only every `step`th cell of large maps is drawn.
    """

    pixels: Bytes
    """uint8 `(H, W, 3)`."""
    channels: tuple[int, ...]
    """Channel at each position, row by row."""
    columns: int
    shape: tuple[int, int, int]
    """Of the maps: `(C, H, W)`."""
    tile: tuple[int, int]
    """Height and width of one map in pixels, without the gap."""
    gap: int
    zoom: int
    step: int
    low: Floats
    """Value at the low end of the color map, by channel index, `(C,)`."""
    high: Floats
    diverging: bool
    """Whether the color map diverges from zero."""

    @property
    def rows(self) -> int:
        """Number of rows of maps."""
        return -(-len(self.channels) // self.columns)

    def locate(self, row: int, column: int) -> tuple[int, int, int] | None:
        """Return the `(channel, y, x)` at pixel `(row, column)`; None on a gap or outside."""
        positions = []
        for pixel, side, count in ((row, self.tile[0], self.rows), (column, self.tile[1], self.columns)):
            slot, offset = divmod(pixel, side + self.gap)
            if offset >= side or not 0 <= slot < count:
                return None
            positions.append((slot, offset // self.zoom * self.step))
        (line, y), (position, x) = positions
        index = line * self.columns + position
        return (self.channels[index], y, x) if index < len(self.channels) else None

    def box(self, channel: int) -> tuple[int, int, int, int]:
        """Return the pixels of a channel's map as `(top, left, bottom, right)`, ends excluded."""
        line, position = divmod(self.channels.index(channel), self.columns)
        top, left = line * (self.tile[0] + self.gap), position * (self.tile[1] + self.gap)
        return top, left, top + self.tile[0], left + self.tile[1]

    def png(self) -> bytes:
        """Encode the mosaic as PNG."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()


def mosaic(
    maps: Floats,
    order: Order | NDArray[np.int64] = "index",
    colour_range: Range = "layer",
    network: tuple[float, float] | None = None,
    scale: Scale = "auto",
    theme: Theme = "light",
    columns: int | None = None,
    gap: int = 1,
    zoom: int = 1,
    side: int = 256,
) -> Mosaic:
    """Draw maps `(C, H, W)` as a mosaic.

    Args:
        maps: float32; NaN and Inf are drawn in a color of their own.
        order: A name (see `order_channels`), or the channels to show, in that order.
        colour_range: Range of the color map: each map's values, the layer's, or `network`.
        network: Smallest and largest value of the whole network, for the range `network`.
        scale: `diverging` from zero, the range made symmetric, or `sequential`; `auto` diverges where there
            are negative values.
        theme: Sets the center of the diverging color map (white or black) and the gaps.
        columns: Maps per row; by default such that the mosaic is about 1.6 times as wide as high.
        gap: Pixels between maps.
        zoom: Pixels per cell side.
        side: Most cells drawn per side; larger maps are subsampled.

    Raises:
        InterpretError: For no maps, an unknown order, or the range `network` without one.
    """
    if maps.ndim != 3 or not maps.size:
        raise InterpretError(f"A mosaic takes maps (C, H, W), not {'×'.join(map(str, maps.shape))}.")
    channels = order_channels(maps, order) if isinstance(order, str) else order
    step = max(1, math.ceil(max(maps.shape[1:]) / side))
    selected = maps[channels, ::step, ::step]
    low, high = limits(maps, colour_range, network)
    diverging = scale == "diverging" or (scale == "auto" and bool(low.min() < 0))
    if diverging:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    table = DIVERGING[theme] if diverging else SEQUENTIAL
    colors = apply_colormap(selected, low[channels, None, None], high[channels, None, None], table)
    columns = columns or _columns(
        len(channels), selected.shape[1] * zoom + gap, selected.shape[2] * zoom + gap
    )
    pixels = _tile(colors, columns, gap, zoom, GAP[theme])
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    tile = (selected.shape[1] * zoom, selected.shape[2] * zoom)
    return Mosaic(
        pixels, tuple(channels.tolist()), columns, shape, tile, gap, zoom, step, low, high, diverging
    )


def limits(
    maps: Floats, colour_range: Range, network: tuple[float, float] | None = None
) -> tuple[Floats, Floats]:
    """Compute the ends of the color map of each channel, float32 `(C,)` each."""
    if colour_range == "network":
        if network is None:
            raise InterpretError("The range 'network' needs the network's smallest and largest value.")
        return np.full(len(maps), network[0], np.float32), np.full(len(maps), network[1], np.float32)
    if colour_range not in RANGES:
        names = f"{', '.join(RANGES[:-1])} or {RANGES[-1]}"
        raise InterpretError(f"Colors span the {names}, not {colour_range!r}.")
    finite = np.isfinite(maps)
    low = np.where(finite, maps, np.inf).min(axis=(1, 2))
    high = np.where(finite, maps, -np.inf).max(axis=(1, 2))
    has_finite = low <= high
    low, high = np.where(has_finite, low, 0), np.where(has_finite, high, 0)
    if colour_range == "layer" and has_finite.any():
        low, high = np.full_like(low, low[has_finite].min()), np.full_like(high, high[has_finite].max())
    return low.astype(np.float32), high.astype(np.float32)


def _columns(count: int, height: int, width: int) -> int:
    return min(count, max(1, round(math.sqrt(count * height / width * SHAPE))))


def _tile(colors: Bytes, columns: int, gap: int, zoom: int, background: tuple[int, int, int]) -> Bytes:
    if zoom > 1:
        colors = colors.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = colors.shape
    rows = -(-count // columns)
    grid = np.empty((rows * columns, height + gap, width + gap, 3), np.uint8)
    grid[:] = background
    grid[:count, :height, :width] = colors
    grid = grid.reshape(rows, columns, height + gap, width + gap, 3).swapaxes(1, 2)
    tiled = grid.reshape(rows * (height + gap), columns * (width + gap), 3)
    return np.ascontiguousarray(tiled[: tiled.shape[0] - gap, : tiled.shape[1] - gap])


# Channel flags, and a layer's values as a compact buffer.

SATURATED, SATURATED_CELLS = 0.95, 0.95
"""A channel is saturated where this fraction of its cells is beyond this fraction of the activation's bound.
"""
BOUNDS = {"Tanh": (-1.0, 1.0), "ScaledTanh": (-1.7159, 1.7159), "Sigmoid": (0.0, 1.0), "ReLU6": (0.0, 6.0),
          "Hardsigmoid": (0.0, 1.0), "Hardtanh": (-1.0, 1.0)}  # fmt: skip
"""Bounds of an activation's values, by module type."""


@dataclass(frozen=True, slots=True)
class ChannelFlags:
    """Channel flags: indices, ascending."""

    dead: tuple[int, ...]
    """Exactly 0 in every cell."""
    never_positive: tuple[int, ...]
    """At most 0 in every cell and not dead: a ReLU after it outputs only zeros."""
    saturated: tuple[int, ...]
    """At the bound of their activation nearly everywhere, where the gradient is close to 0."""
    broken: tuple[int, ...]
    """With NaN or Inf."""


def flag_channels(maps: Floats, layer_type: str = "") -> ChannelFlags:
    """Flag the channels of maps `(C, H, W)`; `layer_type`, the row's type, gives the bounds of the values."""
    flat = maps.reshape(len(maps), -1)
    dead, broken = _all_cells(flat == 0), ~_all_cells(np.isfinite(flat))
    never_positive = _all_cells(flat <= 0) & ~dead
    low, high = BOUNDS.get(layer_type, (-np.inf, np.inf))
    span = high - low
    saturated = np.zeros(len(maps), dtype=bool)
    if np.isfinite(span):
        center = (low + high) / 2
        saturated_cells = np.abs(flat - center) > SATURATED * span / 2
        # At a lower bound of 0 a unit is inactive, not saturated.
        if low == 0:
            saturated_cells &= flat > center
        saturated = saturated_cells.mean(1) >= SATURATED_CELLS
    return ChannelFlags(_indices(dead), _indices(never_positive), _indices(saturated), _indices(broken))


def constant_maps(maps: Floats) -> int:
    """Count the maps of `(C, H, W)` with more than one cell that have the same nonzero value everywhere."""
    flat = maps.reshape(len(maps), -1)
    if flat.shape[1] < 2:
        return 0
    return int(((flat == flat[:, :1]).all(axis=1) & (flat[:, 0] != 0)).sum())


def _all_cells(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = np.logical_and.reduce(cells, axis=1)
    return flags


def _indices(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(chosen).tolist())


@dataclass(frozen=True, slots=True)
class PackedMaps:
    """Values in C order, little-endian, for the browser."""

    kind: Literal["float16", "float32"]
    shape: tuple[int, ...]
    data: bytes
    step: int = 1
    """Stride of the subsampling of maps; 1 for all cells."""


def pack_maps(maps: Floats, limit: int = 4_000_000) -> PackedMaps:
    """Pack maps `(C, H, W)` into at most `limit` bytes, for reading values off.

    float32 where that fits; else float16 (three digits) where no value is out of its range; else every second
    cell, and so on. Maps of one cell are packed even beyond `limit`.
    """
    step = 1
    while True:
        sampled = maps[:, ::step, ::step]
        fits_half = sampled.size * 2 <= limit and bool((np.abs(sampled) < 65_504).all())
        if sampled.size * 4 <= limit or fits_half or sampled.shape[1:] == (1, 1):
            use_half = sampled.size * 4 > limit and fits_half
            data = sampled.astype("<f2" if use_half else "<f4").tobytes()
            return PackedMaps("float16" if use_half else "float32", sampled.shape, data, step)
        step += 1
