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
    register_arithmetic,
    window,
)
from cnnviz.interpret.hooks import LayerCall
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import Subsampling


class ChannelwiseArithmetic(Arithmetic):
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


def _arguments(call: LayerCall, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a call: the module's attributes, or the function's arguments by name."""
    if call.module is not None:
        return vars(call.module)
    return dict(zip(names, call.arguments, strict=False)) | call.keywords


@register_arithmetic(nn.MaxPool2d, "max_pool2d", "max_pool2d_with_indices")
class MaxPooling(ChannelwiseArithmetic):
    """Maximum of a window."""

    kind = "max pooling"
    _NAMES = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        self.sizes = _Sizes.of(_arguments(call, self._NAMES))

    def working(self, cell: Cell) -> Working:
        sizes = self.sizes
        covered = window(
            self.maps, cell.channel, sizes.corner(cell), np.ones(sizes.kernel), sizes.dilation, False
        )
        return working_of_maximum(self.kind, cell, covered)

    def settings(self) -> dict[str, Any]:
        return self.sizes.plain()


@register_arithmetic(nn.AvgPool2d, "avg_pool2d")
class AveragePooling(ChannelwiseArithmetic):
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

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        arguments = _arguments(call, self._NAMES)
        self.sizes = _Sizes.of(arguments)
        self.with_padding: bool = arguments.get("count_include_pad", True)
        self.divisor: int | None = arguments.get("divisor_override")

    def working(self, cell: Cell) -> Working:
        sizes = self.sizes
        covered = window(self.maps, cell.channel, sizes.corner(cell), np.ones(sizes.kernel), weighted=False)
        count = self.divisor or (self._cells(covered) if self.with_padding else int(np.sum(covered.inside)))
        return working_of_mean(self.kind, cell, covered, count)

    def _cells(self, covered: Window) -> int:
        """Count the cells of the window, padding included, but without what `ceil_mode` adds behind it."""
        (top, left), (height, width) = (covered.top, covered.left), self.maps.shape[1:]
        rows = min(top + self.sizes.kernel[0], height + self.sizes.padding[0]) - top
        columns = min(left + self.sizes.kernel[1], width + self.sizes.padding[1]) - left
        return int(rows * columns)

    def settings(self) -> dict[str, Any]:
        return self.sizes.plain() | {"with_padding": self.with_padding, "divisor": self.divisor}


class AdaptivePooling(ChannelwiseArithmetic):
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
        height, width = self.call.output.shape[-2:]
        return height, width

    def settings(self) -> dict[str, Any]:
        return {"cells": list(self._cells())}


@register_arithmetic(nn.AdaptiveAvgPool2d, "adaptive_avg_pool2d")
class AdaptiveAverage(AdaptivePooling):
    """Mean of a window; of the whole map (global average pooling) for output size 1."""

    kind = "adaptive average pooling"

    def working(self, cell: Cell) -> Working:
        covered = self.reach(cell)
        return working_of_mean(self.kind, cell, covered, len(covered.values) * len(covered.values[0]))


@register_arithmetic(nn.AdaptiveMaxPool2d, "adaptive_max_pool2d")
class AdaptiveMaximum(AdaptivePooling):
    """Maximum of a window."""

    kind = "adaptive max pooling"

    def working(self, cell: Cell) -> Working:
        return working_of_maximum(self.kind, cell, self.reach(cell))


@register_arithmetic(Subsampling)
class TrainedSubsampling(ChannelwiseArithmetic):
    """LeNet-5 (1998) subsampling: the mean of 2×2, times a trained gain, plus a trained bias."""

    kind = "subsampling"

    def working(self, cell: Cell) -> Working:
        layer = cast(Subsampling, self.call.module)
        covered = window(self.maps, cell.channel, (2 * cell.y, 2 * cell.x), np.ones((2, 2)), weighted=False)
        average = covered.total / 4
        gain, bias = float(layer.gain[cell.channel]), float(layer.bias[cell.channel])
        steps = (
            Step("mean of the window", average),
            Step("trained gain", gain),
            Step("trained bias", bias),
            Step("result", average * gain + bias),
        )
        return Working(self.kind, cell, "mean · gain + bias", steps, (covered,), inputs=4)

    def settings(self) -> dict[str, Any]:
        return {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1]}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        layer = cast(Subsampling, self.call.module)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        trained = {"gain": array_of(layer.gain)[chosen], "bias": array_of(layer.bias)[chosen]}
        return super().arrays(channel) | trained


def working_of_maximum(kind: str, cell: Cell, covered: Window) -> Working:
    """Return the working of a maximum; of equal values the first wins."""
    inside = np.array(covered.inside)
    values = np.where(inside, np.array(covered.values), -np.inf)
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    position = Cell(
        cell.channel, covered.top + int(y) * covered.step[0], covered.left + int(x) * covered.step[1]
    )
    steps = (Step("result", float(values[y, x])),)
    return Working(
        kind, cell, "max of the window", steps, (covered,), inputs=int(inside.sum()), winner=position
    )


def working_of_mean(kind: str, cell: Cell, covered: Window, count: int) -> Working:
    """Return the working of a mean over `count` cells."""
    steps = (
        Step("sum of the window", covered.total),
        Step("cells", count),
        Step("result", covered.total / count),
    )
    return Working(kind, cell, "sum of the window / cells", steps, (covered,), inputs=count)


@register_arithmetic(nn.Upsample)
class Bilinear(ChannelwiseArithmetic):
    """Bilinear interpolation: a weighted mean of the (up to) four nearest cells of the input."""

    kind = "resize"

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        layer = cast(nn.Upsample, call.module)
        if layer.mode != "bilinear" or layer.align_corners:
            raise NotCoveredError(
                f"'{call.layer}' resizes by {layer.mode}; only bilinear is worked out here."
            )

    def working(self, cell: Cell) -> Working:
        sides = zip((cell.y, cell.x), self.maps.shape[1:], self.call.output.shape[-2:], strict=True)
        (top, rows), (left, columns) = (_neighbors(*side) for side in sides)
        covered = window(self.maps, cell.channel, (top, left), np.outer(rows, columns))
        steps = (Step("result", covered.total),)
        return Working(self.kind, cell, "Σ input · nearness", steps, (covered,), inputs=4)

    def settings(self) -> dict[str, Any]:
        return {"mode": "bilinear", "cells": list(self.call.output.shape[-2:])}


def _neighbors(index: int, old: int, new: int) -> tuple[int, Doubles]:
    """Return the first of the two neighbors along one axis and their weights (`align_corners=False`)."""
    position = max(0.0, (index + 0.5) * old / new - 0.5)
    first = min(math.floor(position), old - 1)
    fraction = position - first
    return first, np.array([1 - fraction, fraction]) if first < old - 1 else np.array([1.0])
