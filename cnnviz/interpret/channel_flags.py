"""Channels worth a mark, and a layer's values as a compact buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnnviz.interpret.maps import Floats

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
