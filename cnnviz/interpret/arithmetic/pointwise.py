"""Functions of one value: activations, and what passes values on as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from cnnviz.interpret.arithmetic.base import one_value, works_out
from cnnviz.interpret.arithmetic.pooling import OneMap
from cnnviz.interpret.arithmetic.working import Cell, Step, Working
from cnnviz.models.modules.lenet import ScaledTanh

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


@works_out(*FORMULAS, *FUNCTIONS)
class Activation(OneMap):
    """A function applied to every value by itself."""

    kind = "activation"

    def working(self, cell: Cell) -> Working:
        function, formula = self._function()
        value = float(self.maps[cell])
        # In double precision, and never in place on what is shown.
        result = float(function(torch.tensor([value], dtype=torch.float64)))
        steps = (Step("input", value), Step("result", result))
        return Working(self.kind, cell, formula, steps, (one_value(self.maps, cell),), inputs=1)

    def settings(self) -> dict[str, Any]:
        module = self.seen.module
        name = type(module).__name__ if module is not None else self.seen.operation.strip("_")
        slope = getattr(module, "negative_slope", None)
        return {"function": name} | ({} if slope is None else {"slope": slope})

    def _function(self) -> tuple[Any, str]:
        module = self.seen.module
        if module is not None:
            return module, FORMULAS[type(module)]
        return FUNCTIONS[self.seen.operation.strip("_")]


@works_out(nn.Dropout, nn.Dropout2d, nn.Identity, StochasticDepth, "dropout", "dropout2d")
class Unchanged(OneMap):
    """What does something in training only."""

    kind = "unchanged"

    def working(self, cell: Cell) -> Working:
        value = float(self.maps[cell])
        note = "Only while training are values zeroed at random; a prediction passes them on."
        steps = (Step("input", value), Step("result", value))
        return Working(self.kind, cell, "input", steps, (one_value(self.maps, cell),), inputs=1, note=note)
