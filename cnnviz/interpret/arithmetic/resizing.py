"""Resizing inside a model."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from torch import nn

from cnnviz.interpret.arithmetic.base import Doubles, window, works_out
from cnnviz.interpret.arithmetic.pooling import OneMap
from cnnviz.interpret.arithmetic.working import Cell, Step, Working
from cnnviz.interpret.capture import Seen
from cnnviz.interpret.errors import NotCoveredError


@works_out(nn.Upsample)
class Bilinear(OneMap):
    """Each new cell is a weighted mean of the (up to) four around its place on the old grid."""

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
    """The first of the neighbours along one axis, and how near each is; corners are not aligned."""
    at = max(0.0, (place + 0.5) * old / new - 0.5)
    first = min(math.floor(at), old - 1)
    share = at - first
    return first, np.array([1 - share, share]) if first < old - 1 else np.array([1.0])
