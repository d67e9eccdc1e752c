"""Arithmetic of activations, normalization, identity, concatenation, addition and flattening."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cnnviz.interpret import NotCoveredError
from cnnviz.interpret.arithmetic.base import (
    Arithmetic,
    Cell,
    Step,
    Window,
    Working,
    array_of,
    as_grid,
    register_arithmetic,
    single_value_window,
)
from cnnviz.interpret.arithmetic.pooling import ChannelwiseArithmetic
from cnnviz.interpret.hooks import LayerCall
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import ScaledTanh

FORMULAS: dict[type[nn.Module], str] = {
    nn.ReLU: "max(0, input)",
    nn.ReLU6: "min(max(0, input), 6)",
    nn.LeakyReLU: "input, or slope · input below 0",
    nn.Tanh: "tanh(input)",
    nn.Sigmoid: "1 / (1 + exp(−input))",
    nn.GELU: "input · Φ(input)",
    nn.SiLU: "input / (1 + exp(−input))",
    nn.Hardswish: "input · min(max(0, input + 3), 6) / 6",
    nn.Hardsigmoid: "min(max(0, input + 3), 6) / 6",
    ScaledTanh: "1.7159 · tanh(2/3 · input)",
}
FUNCTIONS: dict[str, tuple[Any, str]] = {
    "relu": (functional.relu, FORMULAS[nn.ReLU]),
    "relu6": (functional.relu6, FORMULAS[nn.ReLU6]),
    "tanh": (torch.tanh, FORMULAS[nn.Tanh]),
    "sigmoid": (torch.sigmoid, FORMULAS[nn.Sigmoid]),
    "silu": (functional.silu, FORMULAS[nn.SiLU]),
}


@register_arithmetic(*FORMULAS, *FUNCTIONS)
class Activation(ChannelwiseArithmetic):
    """Element-wise activation function."""

    kind = "activation"

    def working(self, cell: Cell) -> Working:
        function, formula = self._function()
        value = float(self.maps[cell])
        # A tensor of its own: in double precision, and an in-place activation cannot change the maps.
        result = float(function(torch.tensor([value], dtype=torch.float64)))
        steps = (Step("input", value), Step("result", result))
        return Working(self.kind, cell, formula, steps, (single_value_window(self.maps, cell),), inputs=1)

    def settings(self) -> dict[str, Any]:
        module = self.call.module
        name = type(module).__name__ if module is not None else self.call.operation.strip("_")
        slope = getattr(module, "negative_slope", None)
        return {"function": name} | ({} if slope is None else {"slope": slope})

    def _function(self) -> tuple[Any, str]:
        module = self.call.module
        if module is not None:
            return module, FORMULAS[type(module)]
        return FUNCTIONS[self.call.operation.strip("_")]


STOCHASTIC_DEPTH = "torchvision.ops.stochastic_depth.StochasticDepth"


@register_arithmetic(nn.Dropout, nn.Dropout2d, nn.Identity, STOCHASTIC_DEPTH, "dropout", "dropout2d")
class EvaluationIdentity(ChannelwiseArithmetic):
    """Layers that are the identity in evaluation mode: dropout, stochastic depth."""

    kind = "unchanged"

    def working(self, cell: Cell) -> Working:
        value = float(self.maps[cell])
        note = "Only while training are values zeroed at random; a prediction passes them on."
        steps = (Step("input", value), Step("result", value))
        return Working(
            self.kind, cell, "input", steps, (single_value_window(self.maps, cell),), inputs=1, note=note
        )


# Normalization layers.


@register_arithmetic(nn.BatchNorm2d, nn.BatchNorm1d)
class BatchNormalisation(ChannelwiseArithmetic):
    """Batch normalization in evaluation mode: (x − μ) / √(σ² + ε) · γ + β (Ioffe and Szegedy, 2015)."""

    kind = "batch norm"

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        self.layer = cast(nn.BatchNorm2d, call.module)
        if self.layer.running_mean is None or self.layer.running_var is None:
            raise NotCoveredError(
                f"'{call.layer}' keeps no running statistics, so its result depends on the batch."
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
            Step("normalized", scaled),
            Step("gain", gain),
            Step("shift", shift),
            Step("result", scaled * gain + shift),
        )
        formula = "(input − mean) / √(variance + ε) · gain + shift"
        return Working(self.kind, cell, formula, steps, (single_value_window(self.maps, cell),), inputs=1)

    def settings(self) -> dict[str, Any]:
        return {"eps": self.layer.eps}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return super().arrays(channel) | {name: v[chosen] for name, v in self._statistics().items()}


@register_arithmetic(nn.LocalResponseNorm)
class ResponseNormalisation(Arithmetic):
    """Local response normalization: x / (k + α/n · Σ x²)^β (Krizhevsky et al., 2012), as in torch.

    The sum runs over n neighboring maps.
    """

    kind = "local response norm"

    def working(self, cell: Cell) -> Working:
        layer, value = cast(nn.LocalResponseNorm, self.call.module), float(self.maps[cell])
        first = max(0, cell.channel - layer.size // 2)
        last = min(len(self.maps), cell.channel + (layer.size - 1) // 2 + 1)
        cells = [Cell(channel, cell.y, cell.x) for channel in range(first, last)]
        windows = tuple(
            single_value_window(self.maps, position, float(self.maps[position])) for position in cells
        )
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
        layer = cast(nn.LocalResponseNorm, self.call.module)
        return {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "k": layer.k}


# Concatenation, addition, flattening.


@register_arithmetic("cat", "concat", "concatenate")
class Concatenation(Arithmetic):
    """Concatenation of the maps of several sources along the channel axis."""

    kind = "concatenation"

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        axis = call.keywords.get("dim", call.arguments[1] if len(call.arguments) > 1 else 0)
        if axis % call.output.dim() != 1:
            raise NotCoveredError(f"'{call.layer}' joins along another axis than channels.")
        self.parts = [as_grid(part, call.layer) for part in call.inputs]
        self.ends = np.cumsum([len(part) for part in self.parts]).tolist()

    def working(self, cell: Cell) -> Working:
        index = next(i for i, end in enumerate(self.ends) if cell.channel < end)
        channel = cell.channel - (self.ends[index] - len(self.parts[index]))
        part, source = self.parts[index], self.call.sources[index]
        window = single_value_window(part, Cell(channel, cell.y, cell.x), source=source)
        name = f"'{source}'" if source else f"input {index + 1}"
        note = f"Channel {cell.channel} is channel {channel} of {name}."
        return Working(
            self.kind, cell, "input", (Step("result", window.total),), (window,), inputs=1, note=note
        )

    def settings(self) -> dict[str, Any]:
        return {"channels": [len(part) for part in self.parts], "sources": list(self.call.sources)}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        # The output holds every value of the inputs.
        return {}


@register_arithmetic("add", "mul", "multiply", "sub")
class BinaryOperation(Arithmetic):
    """Element-wise sum, difference or product of two tensors; one may be broadcast."""

    kind = "sum"
    _SIGNS: ClassVar = {"add": "+", "sub": "−", "mul": "·", "multiply": "·"}

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        name = call.operation.strip("_")
        self.sign = self._SIGNS[name if name in self._SIGNS else name[1:]]
        if call.operation.startswith("__r") or len(call.inputs) != 2 or call.keywords.get("alpha", 1) != 1:
            raise NotCoveredError(
                f"'{call.layer}' joins otherwise than two tensors; that is not worked out here."
            )
        self.parts = [as_grid(part, call.layer) for part in call.inputs]

    def working(self, cell: Cell) -> Working:
        sources = self.call.sources
        windows = tuple(
            single_value_window(part, _broadcast(part, cell), source=source)
            for part, source in zip(self.parts, sources, strict=True)
        )
        left, right = (w.total for w in windows)
        result = {"+": left + right, "−": left - right, "·": left * right}[self.sign]
        names = [source or f"input {i}" for i, source in enumerate(sources, 1)]
        steps = (Step(names[0], left), Step(names[1], right), Step("result", result))
        return Working(self.kind, cell, f" {self.sign} ".join(names), steps, windows, inputs=2)

    def settings(self) -> dict[str, Any]:
        return {"sign": self.sign, "sources": list(self.call.sources)}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {f"input{i}": part[chosen] if len(part) > 1 else part for i, part in enumerate(self.parts, 1)}


def _broadcast(part: Floats, cell: Cell) -> Cell:
    return Cell(*(index if size > 1 else 0 for index, size in zip(cell, part.shape, strict=True)))


@register_arithmetic(nn.Flatten)
class Flattening(Arithmetic):
    """Flattening of maps into a vector, in C order."""

    kind = "flatten"

    def working(self, cell: Cell) -> Working:
        maps = self.maps
        position = Cell(*(int(i) for i in np.unravel_index(cell.channel, maps.shape)))
        window: Window = single_value_window(maps, position)
        note = f"Value {cell.channel} is channel {position.channel}, row {position.y}, column {position.x}."
        return Working(
            self.kind, cell, "input", (Step("result", window.total),), (window,), inputs=1, note=note
        )

    def settings(self) -> dict[str, Any]:
        return {"maps": list(self.maps.shape)}
