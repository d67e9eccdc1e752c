"""Batch normalisation at prediction time, and local response normalisation."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from torch import nn

from cnnviz.interpret.arithmetic.base import Arithmetic, array_of, one_value, works_out
from cnnviz.interpret.arithmetic.pooling import OneMap
from cnnviz.interpret.arithmetic.working import Cell, Step, Working
from cnnviz.interpret.capture import Seen
from cnnviz.interpret.errors import NotCoveredError
from cnnviz.interpret.maps import Floats


@works_out(nn.BatchNorm2d, nn.BatchNorm1d)
class BatchNormalisation(OneMap):
    """(x − running mean) / √(running variance + ε) · gain + shift (Ioffe and Szegedy, 2015)."""

    kind = "batch norm"

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self.layer = cast(nn.BatchNorm2d, seen.module)
        if self.layer.running_mean is None or self.layer.running_var is None:
            raise NotCoveredError(
                f"'{seen.layer}' keeps no running statistics, so its result depends on the batch."
            )

    def _statistics(self) -> dict[str, Floats]:
        count = self.layer.num_features
        gain, shift = (self.layer._parameters.get(name) for name in ("weight", "bias"))
        return {
            "mean": array_of(self.layer.running_mean),
            "variance": array_of(self.layer.running_var),
            "gain": np.ones(count, np.float32) if gain is None else array_of(gain),
            "shift": np.zeros(count, np.float32) if shift is None else array_of(shift),
        }

    def working(self, cell: Cell) -> Working:
        value = float(self.maps[cell])
        mean, variance, gain, shift = (float(v[cell.channel]) for v in self._statistics().values())
        scaled = (value - mean) / math.sqrt(variance + self.layer.eps)
        steps = (
            Step("input", value),
            Step("running mean", mean),
            Step("running standard deviation", math.sqrt(variance + self.layer.eps)),
            Step("normalised", scaled),
            Step("gain", gain),
            Step("shift", shift),
            Step("result", scaled * gain + shift),
        )
        formula = "(input − mean) / √(variance + ε) · gain + shift"
        return Working(self.kind, cell, formula, steps, (one_value(self.maps, cell),), inputs=1)

    def settings(self) -> dict[str, Any]:
        return {"eps": self.layer.eps}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return super().arrays(channel) | {name: v[chosen] for name, v in self._statistics().items()}


@works_out(nn.LocalResponseNorm)
class ResponseNormalisation(Arithmetic):
    """x / (k + α/n · Σ x²)^β over n neighbouring maps (Krizhevsky et al., 2012), in torch's convention."""

    kind = "local response norm"

    def working(self, cell: Cell) -> Working:
        layer, value = cast(nn.LocalResponseNorm, self.seen.module), float(self.maps[cell])
        first = max(0, cell.channel - layer.size // 2)
        last = min(len(self.maps), cell.channel + (layer.size - 1) // 2 + 1)
        places = [Cell(channel, cell.y, cell.x) for channel in range(first, last)]
        windows = tuple(one_value(self.maps, place, float(self.maps[place])) for place in places)
        squares = sum(w.total for w in windows)
        base = layer.k + layer.alpha / layer.size * squares
        steps = (
            Step("input", value),
            Step("sum of the squares", squares),
            Step("k + α/n · sum", base),
            Step("divisor, to the power β", base**layer.beta),
            Step("result", value / base**layer.beta),
        )
        formula = "input / (k + α/n · Σ input²)^β"
        return Working(self.kind, cell, formula, steps, windows, inputs=len(windows))

    def settings(self) -> dict[str, Any]:
        layer = cast(nn.LocalResponseNorm, self.seen.module)
        return {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "k": layer.k}
