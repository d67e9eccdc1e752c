"""Arithmetic of pooling: the maximum or the mean of each window of a map; bilinear resizing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import nn

from cnnviz.interpret import NotCoveredError
from cnnviz.interpret.arithmetic.base import (
    Arithmetic,
    Cell,
    Doubles,
    Step,
    Window,
    Working,
    array_of,
    pair,
    window,
    works_out,
)
from cnnviz.interpret.hooks import Seen
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import Subsampling


class OneMap(Arithmetic):
    """Base class of layers whose output map reads only the input map of the same index."""

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        return {"input": self.maps if channel is None else self.maps[channel : channel + 1]}


@dataclass(frozen=True)
class _Sizes:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, settings: dict[str, Any]) -> _Sizes:
        """Read the sizes from a module's attributes or a function's arguments."""
        kernel = pair(settings["kernel_size"])
        stride = pair(settings.get("stride") or kernel)
        return cls(kernel, stride, pair(settings.get("padding", 0)), pair(settings.get("dilation", 1)))

    def corner(self, cell: Cell) -> tuple[int, int]:
        return cell.y * self.stride[0] - self.padding[0], cell.x * self.stride[1] - self.padding[1]

    def plain(self) -> dict[str, Any]:
        names = ("kernel", "stride", "padding", "dilation")
        return {name: list(getattr(self, name)) for name in names}


def _arguments(seen: Seen, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a call: the module's attributes, or the function's arguments by name."""
    if seen.module is not None:
        return vars(seen.module)
    return dict(zip(names, seen.arguments, strict=False)) | seen.keywords


@works_out(nn.MaxPool2d, "max_pool2d", "max_pool2d_with_indices")
class MaxPooling(OneMap):
    """Maximum of a window."""

    kind = "max pooling"
    _NAMES = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self.sizes = _Sizes.of(_arguments(seen, self._NAMES))

    def working(self, cell: Cell) -> Working:
        sizes = self.sizes
        seen = window(
            self.maps, cell.channel, sizes.corner(cell), np.ones(sizes.kernel), sizes.dilation, False
        )
        return largest(self.kind, cell, seen)

    def settings(self) -> dict[str, Any]:
        return self.sizes.plain()


@works_out(nn.AvgPool2d, "avg_pool2d")
class AveragePooling(OneMap):
    """Mean of a window; padding counts as 0 unless `count_include_pad=False`."""

    kind = "average pooling"
    _NAMES = (
        "input",
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    )

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        given = _arguments(seen, self._NAMES)
        self.sizes = _Sizes.of(given)
        self.with_padding: bool = given.get("count_include_pad", True)
        self.divisor: int | None = given.get("divisor_override")

    def working(self, cell: Cell) -> Working:
        sizes = self.sizes
        seen = window(self.maps, cell.channel, sizes.corner(cell), np.ones(sizes.kernel), weighted=False)
        count = self.divisor or (self._cells(seen) if self.with_padding else int(np.sum(seen.inside)))
        return mean(self.kind, cell, seen, count)

    def _cells(self, seen: Window) -> int:
        """Count the cells of the window, padding included, but without what `ceil_mode` adds behind it."""
        (top, left), (height, width) = (seen.top, seen.left), self.maps.shape[1:]
        high = min(top + self.sizes.kernel[0], height + self.sizes.padding[0]) - top
        wide = min(left + self.sizes.kernel[1], width + self.sizes.padding[1]) - left
        return int(high * wide)

    def settings(self) -> dict[str, Any]:
        return self.sizes.plain() | {"with_padding": self.with_padding, "divisor": self.divisor}


class Adaptive(OneMap):
    """Pooling to a given output size: output i of m reads ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉ of n."""

    def reach(self, cell: Cell) -> Window:
        """Return the window of a cell."""
        axes = []
        for i, n, m in zip((cell.y, cell.x), self.maps.shape[1:], self._cells(), strict=True):
            low, high = i * n // m, -(-(i + 1) * n // m)
            axes.append((low, high - low))
        (top, height), (left, width) = axes
        return window(self.maps, cell.channel, (top, left), np.ones((height, width)), weighted=False)

    def _cells(self) -> tuple[int, int]:
        height, width = self.seen.output.shape[-2:]
        return height, width

    def settings(self) -> dict[str, Any]:
        return {"cells": list(self._cells())}


@works_out(nn.AdaptiveAvgPool2d, "adaptive_avg_pool2d")
class AdaptiveAverage(Adaptive):
    """Mean of a window; of the whole map (global average pooling) for output size 1."""

    kind = "adaptive average pooling"

    def working(self, cell: Cell) -> Working:
        seen = self.reach(cell)
        return mean(self.kind, cell, seen, len(seen.values) * len(seen.values[0]))


@works_out(nn.AdaptiveMaxPool2d, "adaptive_max_pool2d")
class AdaptiveMaximum(Adaptive):
    """Maximum of a window."""

    kind = "adaptive max pooling"

    def working(self, cell: Cell) -> Working:
        return largest(self.kind, cell, self.reach(cell))


@works_out(Subsampling)
class TrainedSubsampling(OneMap):
    """LeNet-5 (1998) subsampling: the mean of 2×2, times a trained gain, plus a trained bias."""

    kind = "subsampling"

    def working(self, cell: Cell) -> Working:
        layer = cast(Subsampling, self.seen.module)
        seen = window(self.maps, cell.channel, (2 * cell.y, 2 * cell.x), np.ones((2, 2)), weighted=False)
        average = seen.total / 4
        gain, bias = float(layer.gain[cell.channel]), float(layer.bias[cell.channel])
        steps = (
            Step("mean of the window", average),
            Step("trained gain", gain),
            Step("trained bias", bias),
            Step("result", average * gain + bias),
        )
        return Working(self.kind, cell, "mean · gain + bias", steps, (seen,), inputs=4)

    def settings(self) -> dict[str, Any]:
        return {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1]}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        layer = cast(Subsampling, self.seen.module)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        trained = {"gain": array_of(layer.gain)[chosen], "bias": array_of(layer.bias)[chosen]}
        return super().arrays(channel) | trained


def largest(kind: str, cell: Cell, seen: Window) -> Working:
    """Return the working of a maximum; of equal values the first wins."""
    inside = np.array(seen.inside)
    values = np.where(inside, np.array(seen.values), -np.inf)
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    place = Cell(cell.channel, seen.top + int(y) * seen.step[0], seen.left + int(x) * seen.step[1])
    steps = (Step("result", float(values[y, x])),)
    return Working(kind, cell, "max of the window", steps, (seen,), inputs=int(inside.sum()), winner=place)


def mean(kind: str, cell: Cell, seen: Window, count: int) -> Working:
    """Return the working of a mean over `count` cells."""
    steps = (Step("sum of the window", seen.total), Step("cells", count), Step("result", seen.total / count))
    return Working(kind, cell, "sum of the window / cells", steps, (seen,), inputs=count)


@works_out(nn.Upsample)
class Bilinear(OneMap):
    """Bilinear interpolation: a weighted mean of the (up to) four nearest cells of the input."""

    kind = "resize"

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        layer = cast(nn.Upsample, seen.module)
        if layer.mode != "bilinear" or layer.align_corners:
            raise NotCoveredError(
                f"'{seen.layer}' resizes by {layer.mode}; only bilinear is worked out here."
            )

    def working(self, cell: Cell) -> Working:
        sides = zip((cell.y, cell.x), self.maps.shape[1:], self.seen.output.shape[-2:], strict=True)
        (top, rows), (left, columns) = (_neighbours(*side) for side in sides)
        seen = window(self.maps, cell.channel, (top, left), np.outer(rows, columns))
        steps = (Step("result", seen.total),)
        return Working(self.kind, cell, "Σ input · nearness", steps, (seen,), inputs=4)

    def settings(self) -> dict[str, Any]:
        return {"mode": "bilinear", "cells": list(self.seen.output.shape[-2:])}


def _neighbours(place: int, old: int, new: int) -> tuple[int, Doubles]:
    """Return the first of the two neighbors along one axis and their weights (`align_corners=False`)."""
    at = max(0.0, (place + 0.5) * old / new - 0.5)
    first = min(math.floor(at), old - 1)
    share = at - first
    return first, np.array([1 - share, share]) if first < old - 1 else np.array([1.0])
