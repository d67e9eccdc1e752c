"""Arithmetic of layers with weights: convolutions, fully connected layers, LeNet-5's radial-basis units."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from torch import nn

from cnnviz.interpret import NotCoveredError
from cnnviz.interpret.arithmetic.base import (
    Arithmetic,
    Cell,
    Contribution,
    Doubles,
    Step,
    Working,
    array_of,
    pair,
    register_arithmetic,
    windows,
)
from cnnviz.interpret.filters import partial_weights
from cnnviz.interpret.hooks import LayerCall
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import PartialConv2d, RadialBasis

LARGEST = 24
"""Most contributions that are listed."""


class VectorArithmetic(Arithmetic):
    """Base class of layers whose outputs sum over all inputs of a vector."""

    maps_shape: tuple[int, int, int] | None = None
    """Shape of the maps that were flattened into the input, if any."""

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        if call.inputs[0].dim() != 2:
            raise NotCoveredError(f"'{call.layer}' reads more than one vector, which is not worked out here.")
        self.vector: Floats = array_of(call.inputs[0][0])

    def largest(self, weights: Doubles, products: Doubles) -> tuple[Contribution, ...]:
        """Return the contributions with the largest products, descending by magnitude."""
        order = np.argsort(-np.abs(products), kind="stable")[:LARGEST]
        return tuple(
            Contribution(i, float(self.vector[i]), float(weights[i]), float(products[i]), self.place(i))
            for i in order.tolist()
        )

    def place(self, index: int) -> Cell | None:
        """Return an input's position in the maps before flattening."""
        if self.maps_shape is None:
            return None
        _, height, width = self.maps_shape
        return Cell(index // (height * width), index // width % height, index % width)

    def settings(self) -> dict[str, Any]:
        return {"maps": list(self.maps_shape) if self.maps_shape else None}


@register_arithmetic(nn.Linear)
class Linear(VectorArithmetic):
    """Weighted sum of all inputs, plus a bias."""

    kind = "linear"

    def working(self, cell: Cell) -> Working:
        layer = cast(nn.Linear, self.call.module)
        weights = array_of(layer.weight[cell.channel]).astype(np.float64)
        bias = layer._parameters.get("bias")
        shift = 0.0 if bias is None else float(bias[cell.channel])
        products = weights * self.vector
        listed = self.largest(weights, products)
        total, partial = float(products.sum()), sum(contribution.product for contribution in listed)
        steps = [Step("sum of the products", total), Step("bias", shift), Step("result", total + shift)]
        if len(products) > len(listed):
            others = f"the other {len(products) - len(listed):,} products"
            steps[:0] = [Step(f"the {len(listed)} largest products", partial), Step(others, total - partial)]
        formula = "Σ input · weight + bias"
        return Working(self.kind, cell, formula, tuple(steps), contributions=listed, inputs=len(products))

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        layer = cast(nn.Linear, self.call.module)
        bias = layer._parameters.get("bias")
        biases = np.zeros(layer.out_features, np.float32) if bias is None else array_of(bias)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {"input": self.vector, "weight": array_of(layer.weight)[chosen], "bias": biases[chosen]}


@register_arithmetic(RadialBasis)
class Radial(VectorArithmetic):
    """Negative squared distance to a class's fixed prototype image."""

    kind = "radial basis"

    def working(self, cell: Cell) -> Working:
        code = array_of(cast(RadialBasis, self.call.module).codes[cell.channel]).astype(np.float64)
        squares = np.square(self.vector - code)
        total = float(squares.sum())
        return Working(
            self.kind,
            cell,
            "−Σ (input − code)²",
            (Step("sum of the squared differences", total), Step("result", -total)),
            contributions=self.largest(code, squares),
            inputs=len(squares),
            note="A weight here is a pixel of the class's image: ink +1, paper −1.",
        )

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        codes = array_of(cast(RadialBasis, self.call.module).codes)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {"input": self.vector, "weight": codes[chosen]}


@register_arithmetic(nn.Softmax)
class Softmax(VectorArithmetic):
    """exp(logit) / Σ exp(logit); the largest logit is subtracted first, which does not change the result."""

    kind = "softmax"

    def working(self, cell: Cell) -> Working:
        logits = self.vector.astype(np.float64)
        maximum = float(logits.max())
        exponentials = np.exp(logits - maximum)
        own, total = float(exponentials[cell.channel]), float(exponentials.sum())
        steps = (
            Step("logit", float(logits[cell.channel])),
            Step("less the largest logit", float(logits[cell.channel]) - maximum),
            Step("exp of that", own),
            Step("sum over all classes", total),
            Step("result", own / total),
        )
        listed = self.largest(np.ones(len(logits)), exponentials)
        return Working(
            self.kind, cell, "exp(logit) / Σ exp(logit)", steps, contributions=listed, inputs=len(logits)
        )

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        return {"input": self.vector}


# Arithmetic of convolutions: plain, grouped, dilated, and the partially connected C3 of LeNet-5.


@register_arithmetic(nn.Conv2d)
class Convolution(Arithmetic):
    """Weighted sum of a window of each input map of the group, plus a bias."""

    kind = "convolution"

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        self.layer = cast(nn.Conv2d, call.module)
        if self.layer.padding_mode != "zeros":
            raise NotCoveredError(
                f"'{call.layer}' pads otherwise than with zeros, which is not worked out here."
            )
        left, _, top, _ = self.layer._reversed_padding_repeated_twice
        self.padding = (top, left)

    def inputs_of(self, channel: int) -> range:
        """Return the input maps that an output map reads."""
        group_in, group_out = (
            count // self.layer.groups for count in (self.layer.in_channels, self.layer.out_channels)
        )
        first = channel // group_out * group_in
        return range(first, first + group_in)

    def working(self, cell: Cell) -> Working:
        kernels = array_of(self.layer.weight)[cell.channel].astype(np.float64)
        bias = 0.0 if self.layer.bias is None else float(self.layer.bias[cell.channel])
        stride, dilation = pair(self.layer.stride), pair(self.layer.dilation)
        corner = (cell.y * stride[0] - self.padding[0], cell.x * stride[1] - self.padding[1])
        inputs = self.inputs_of(cell.channel)
        result = windows(self.maps, inputs, corner, kernels, dilation)
        return Working(
            self.kind,
            cell,
            "Σ input · weight + bias",
            sum_and_bias(sum(w.total for w in result), bias),
            result,
            inputs=kernels.size,
            left_out=tuple(c for c in range(self.layer.in_channels) if c not in inputs),
        )

    def settings(self) -> dict[str, Any]:
        return {
            "stride": list(pair(self.layer.stride)),
            "padding": list(self.padding),
            "dilation": list(pair(self.layer.dilation)),
            "groups": self.layer.groups,
            "kernel": list(pair(self.layer.kernel_size)),
        }

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        weight, bias = array_of(self.layer.weight), self.layer.bias
        biases = np.zeros(len(weight), np.float32) if bias is None else array_of(bias)
        if channel is None:
            return {"input": self.maps, "weight": weight, "bias": biases}
        row, inputs = slice(channel, channel + 1), self.inputs_of(channel)
        return {"input": self.maps[inputs.start : inputs.stop], "weight": weight[row], "bias": biases[row]}


@register_arithmetic(PartialConv2d)
class PartialConvolution(Arithmetic):
    """LeNet-5's C3: every output map reads its own subset of input maps."""

    kind = "convolution"

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call)
        self.layer = cast(PartialConv2d, call.module)
        self.weights = partial_weights(call.layer, self.layer)

    def working(self, cell: Cell) -> Working:
        connected = sorted(self.layer.connections[cell.channel])
        kernels = self.weights.values[cell.channel].astype(np.float64)
        result = windows(self.maps, connected, (cell.y, cell.x), kernels[connected])
        assert self.weights.bias is not None
        return Working(
            self.kind,
            cell,
            "Σ input · weight + bias",
            sum_and_bias(sum(w.total for w in result), float(self.weights.bias[cell.channel])),
            result,
            inputs=len(connected) * kernels[0].size,
            left_out=tuple(c for c in range(len(self.maps)) if c not in connected),
        )

    def settings(self) -> dict[str, Any]:
        return {
            "stride": [1, 1],
            "padding": [0, 0],
            "dilation": [1, 1],
            "groups": 1,
            "kernel": list(self.weights.values.shape[2:]),
            "connections": [sorted(connected) for connected in self.layer.connections],
        }

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        assert self.weights.bias is not None
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {
            "input": self.maps,
            "weight": self.weights.values[chosen],
            "bias": self.weights.bias[chosen],
        }


def sum_and_bias(total: float, bias: float) -> tuple[Step, ...]:
    """Return the last lines of a weighted sum."""
    return Step("sum of the products", total), Step("bias", bias), Step("result", total + bias)
