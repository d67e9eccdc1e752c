"""Feature maps of a layer, their order and flags, and the mosaic of all channels as one crisp image."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.interpret import InterpretError
from cnnviz.interpret.colormaps import DIVERGING, GAP, SEQUENTIAL, Bytes, Theme, paint

if TYPE_CHECKING:
    from torch import Tensor

# Whatever a layer gives, as maps `(C, H, W)`: one picture a channel.

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


# In which order channels are shown.

Order = Literal["index", "activity", "spread", "similarity"]
ORDERS: tuple[Order, ...] = get_args(Order)
CELLS = 1024
"""How many cells of a map similarity is judged by, at most."""


def ordered(maps: Floats, order: Order = "index") -> NDArray[np.int64]:
    """The channels of maps `(C, H, W)` as a permutation of 0 … C − 1, int64 `(C,)`.

    `activity`: by falling mean magnitude. `spread`: by falling standard deviation. `similarity`: by
    average-linkage clustering of 1 − correlation, so that alike maps stand side by side; constant maps
    last. Ties keep their order.
    Raises `InterpretError` for another order.
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
    some = flat[:, :: -(-flat.shape[1] // CELLS)]
    centred = some - some.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    varies = np.flatnonzero(length > 1e-6 * np.abs(some).max(initial=1e-30))
    constant = np.setdiff1d(np.arange(len(flat)), varies)
    if len(varies) < 3:
        return np.concatenate([varies, constant])
    unit = centred[varies] / length[varies, None]
    distance = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distance, 0)
    leaves = leaves_list(linkage(squareform(distance, checks=False), "average"))
    return np.concatenate([varies[leaves], constant])


Range = Literal["map", "layer", "network"]
RANGES: tuple[Range, ...] = get_args(Range)
Scale = Literal["auto", "sequential", "diverging"]
SHAPE = 1.6
"""Width by height that a mosaic comes near to."""


@dataclass(frozen=True)
class Mosaic:
    """A picture of maps, `columns` a line, `gap` pixels apart, each cell `zoom`×`zoom` pixels.

    `step` > 1 says that only every `step`th cell of large maps is shown.
    """

    pixels: Bytes
    """uint8 `(H, W, 3)`."""
    channels: tuple[int, ...]
    """Which channel stands at each place, line by line."""
    columns: int
    shape: tuple[int, int, int]
    """Of the maps: `(C, H, W)`."""
    tile: tuple[int, int]
    """Height and width of one map in pixels, without the gap."""
    gap: int
    zoom: int
    step: int
    low: Floats
    """The value at the low end of the colours, of each channel by its own number, `(C,)`."""
    high: Floats
    diverging: bool
    """Whether colours diverge from zero."""

    @property
    def rows(self) -> int:
        """Lines of maps."""
        return -(-len(self.channels) // self.columns)

    def locate(self, row: int, column: int) -> tuple[int, int, int] | None:
        """The `(channel, y, x)` under pixel `(row, column)`; None on a gap or outside."""
        place = []
        for pixel, side, count in ((row, self.tile[0], self.rows), (column, self.tile[1], self.columns)):
            index, rest = divmod(pixel, side + self.gap)
            if rest >= side or not 0 <= index < count:
                return None
            place.append((index, rest // self.zoom * self.step))
        (line, y), (position, x) = place
        number = line * self.columns + position
        return (self.channels[number], y, x) if number < len(self.channels) else None

    def box(self, channel: int) -> tuple[int, int, int, int]:
        """The pixels of a channel's map as `(top, left, bottom, right)`, ends excluded."""
        line, position = divmod(self.channels.index(channel), self.columns)
        top, left = line * (self.tile[0] + self.gap), position * (self.tile[1] + self.gap)
        return top, left, top + self.tile[0], left + self.tile[1]

    def png(self) -> bytes:
        """The picture as a PNG file."""
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
    """Draw maps `(C, H, W)`.

    Args:
        maps: float32; values that are not numbers are drawn in a colour of their own.
        order: A name (see `ordering.ordered`), or the channels to show, in that order.
        colour_range: What the colours span: each map's values, all of the layer's, or those in `network`.
        network: Smallest and largest value of the whole network, for the range `network`.
        scale: `diverging` from zero, the range made symmetric, or `sequential`; `auto` diverges where there
            are negative values.
        theme: Decides the middle of the diverging scale (white or black) and the gaps.
        columns: Maps a line; chosen for a picture 1.6 times as wide as high where None.
        gap: Pixels between maps.
        zoom: Pixels a cell's side.
        side: Cells of a map's longer side that are drawn at most; of larger maps every second, third … is.

    Raises:
        InterpretError: for no maps, an unknown order, or the range `network` without one.
    """
    if maps.ndim != 3 or not maps.size:
        raise InterpretError(f"A mosaic takes maps (C, H, W), not {'×'.join(map(str, maps.shape))}.")
    channels = ordered(maps, order) if isinstance(order, str) else order
    step = max(1, math.ceil(max(maps.shape[1:]) / side))
    shown = maps[channels, ::step, ::step]
    low, high = limits(maps, colour_range, network)
    diverging = scale == "diverging" or (scale == "auto" and bool(low.min() < 0))
    if diverging:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    table = DIVERGING[theme] if diverging else SEQUENTIAL
    painted = paint(shown, low[channels, None, None], high[channels, None, None], table)
    columns = columns or _columns(len(channels), shown.shape[1] * zoom + gap, shown.shape[2] * zoom + gap)
    pixels = _laid_out(painted, columns, gap, zoom, GAP[theme])
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    tile = (shown.shape[1] * zoom, shown.shape[2] * zoom)
    return Mosaic(
        pixels, tuple(channels.tolist()), columns, shape, tile, gap, zoom, step, low, high, diverging
    )


def limits(
    maps: Floats, colour_range: Range, network: tuple[float, float] | None = None
) -> tuple[Floats, Floats]:
    """Smallest and largest value for each channel's colours, float32 `(C,)` each."""
    if colour_range == "network":
        if network is None:
            raise InterpretError("The range 'network' needs the network's smallest and largest value.")
        return np.full(len(maps), network[0], np.float32), np.full(len(maps), network[1], np.float32)
    if colour_range not in RANGES:
        names = f"{', '.join(RANGES[:-1])} or {RANGES[-1]}"
        raise InterpretError(f"Colours span the {names}, not {colour_range!r}.")
    finite = np.isfinite(maps)
    low = np.where(finite, maps, np.inf).min(axis=(1, 2))
    high = np.where(finite, maps, -np.inf).max(axis=(1, 2))
    known = low <= high
    low, high = np.where(known, low, 0), np.where(known, high, 0)
    if colour_range == "layer" and known.any():
        low, high = np.full_like(low, low[known].min()), np.full_like(high, high[known].max())
    return low.astype(np.float32), high.astype(np.float32)


def _columns(count: int, height: int, width: int) -> int:
    return min(count, max(1, round(math.sqrt(count * height / width * SHAPE))))


def _laid_out(painted: Bytes, columns: int, gap: int, zoom: int, between: tuple[int, int, int]) -> Bytes:
    if zoom > 1:
        painted = painted.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = painted.shape
    rows = -(-count // columns)
    grid = np.empty((rows * columns, height + gap, width + gap, 3), np.uint8)
    grid[:] = between
    grid[:count, :height, :width] = painted
    grid = grid.reshape(rows, columns, height + gap, width + gap, 3).swapaxes(1, 2)
    picture = grid.reshape(rows * (height + gap), columns * (width + gap), 3)
    return np.ascontiguousarray(picture[: picture.shape[0] - gap, : picture.shape[1] - gap])


# Channels worth a mark, and a layer's values as a compact buffer.

SATURATED, OF_CELLS = 0.95, 0.95
"""A channel is saturated where this part of its cells is beyond this part of the function's bound."""
BOUNDS = {"Tanh": (-1.0, 1.0), "ScaledTanh": (-1.7159, 1.7159), "Sigmoid": (0.0, 1.0), "ReLU6": (0.0, 6.0),
          "Hardsigmoid": (0.0, 1.0), "Hardtanh": (-1.0, 1.0)}  # fmt: skip
"""What the values of an activation, by its type, cannot pass."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Channels by number, ascending."""

    dead: tuple[int, ...]
    """Exactly 0 in every cell."""
    never_positive: tuple[int, ...]
    """At most 0 in every cell and not dead: a ReLU behind it leaves nothing."""
    saturated: tuple[int, ...]
    """At the bound of their activation nearly everywhere, where hardly any gradient passes."""
    broken: tuple[int, ...]
    """With values that are not finite numbers."""


def marks(maps: Floats, layer_type: str = "") -> Marks:
    """The channels of `(C, H, W)` to mark; `layer_type`, the row's type, says what bounds the values."""
    flat = maps.reshape(len(maps), -1)
    dead, broken = _every(flat == 0), ~_every(np.isfinite(flat))
    never = _every(flat <= 0) & ~dead
    low, high = BOUNDS.get(layer_type, (-np.inf, np.inf))
    reach = high - low
    saturated = np.zeros(len(maps), dtype=bool)
    if np.isfinite(reach):
        middle = (low + high) / 2
        beyond = np.abs(flat - middle) > SATURATED * reach / 2
        # The lower bound of what cannot be negative is silence, not saturation.
        if low == 0:
            beyond &= flat > middle
        saturated = beyond.mean(1) >= OF_CELLS
    return Marks(_numbers(dead), _numbers(never), _numbers(saturated), _numbers(broken))


def _every(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = np.logical_and.reduce(cells, axis=1)
    return flags


def _numbers(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(chosen).tolist())


@dataclass(frozen=True, slots=True)
class Buffer:
    """Values in C order, little-endian, for a reader that is not Python."""

    kind: Literal["float16", "float32"]
    shape: tuple[int, ...]
    data: bytes
    step: int = 1
    """More than 1 where only every `step`th cell of each axis of the maps is in it."""


def buffer(maps: Floats, limit: int = 4_000_000) -> Buffer:
    """Maps `(C, H, W)` in at most `limit` bytes where C values take no more: for reading values off.

    float32 where that fits; else float16, where no value passes its range (it keeps three digits); else every
    second cell, and so on.
    """
    step = 1
    while True:
        shown = maps[:, ::step, ::step]
        half = shown.size * 2 <= limit and bool((np.abs(shown) < 65_504).all())
        if shown.size * 4 <= limit or half or shown.shape[1:] == (1, 1):
            small = shown.size * 4 > limit and half
            data = shown.astype("<f2" if small else "<f4").tobytes()
            return Buffer("float16" if small else "float32", shown.shape, data, step)
        step += 1
