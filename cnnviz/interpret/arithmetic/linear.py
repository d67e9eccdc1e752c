"""Arithmetic of fully connected layers, the radial-basis units of LeNet-5 (1998), and softmax."""

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
    works_out,
)
from cnnviz.interpret.hooks import Seen
from cnnviz.interpret.mosaic import Floats
from cnnviz.models.modules import RadialBasis

LARGEST = 24
"""Most contributions that are listed."""


class Unit(Arithmetic):
    """Base class of layers whose outputs sum over all inputs of a vector."""

    maps_shape: tuple[int, int, int] | None = None
    """Shape of the maps that were flattened into the input, if any."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        if seen.inputs[0].dim() != 2:
            raise NotCoveredError(f"'{seen.layer}' reads more than one vector, which is not worked out here.")
        self.vector: Floats = array_of(seen.inputs[0][0])

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


@works_out(nn.Linear)
class Linear(Unit):
    """Weighted sum of all inputs, plus a bias."""

    kind = "linear"

    def working(self, cell: Cell) -> Working:
        layer = cast(nn.Linear, self.seen.module)
        weights = array_of(layer.weight[cell.channel]).astype(np.float64)
        bias = layer._parameters.get("bias")
        shift = 0.0 if bias is None else float(bias[cell.channel])
        products = weights * self.vector
        shown = self.largest(weights, products)
        total, partial = float(products.sum()), sum(one.product for one in shown)
        steps = [Step("sum of the products", total), Step("bias", shift), Step("result", total + shift)]
        if len(products) > len(shown):
            rest = f"the other {len(products) - len(shown):,} products"
            steps[:0] = [Step(f"the {len(shown)} largest products", partial), Step(rest, total - partial)]
        formula = "Σ input · weight + bias"
        return Working(self.kind, cell, formula, tuple(steps), contributions=shown, inputs=len(products))

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        layer = cast(nn.Linear, self.seen.module)
        bias = layer._parameters.get("bias")
        biases = np.zeros(layer.out_features, np.float32) if bias is None else array_of(bias)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {"input": self.vector, "weight": array_of(layer.weight)[chosen], "bias": biases[chosen]}


@works_out(RadialBasis)
class Radial(Unit):
    """Negative squared distance to a class's fixed prototype image."""

    kind = "radial basis"

    def working(self, cell: Cell) -> Working:
        code = array_of(cast(RadialBasis, self.seen.module).codes[cell.channel]).astype(np.float64)
        squares = np.square(self.vector - code)
        total = float(squares.sum())
        return Working(
            self.kind,
            cell,
            "−Σ (input − code)²",
            (Step("sum of the squared differences", total), Step("result", -total)),
            contributions=self.largest(code, squares),
            inputs=len(squares),
            note="A weight here is a pixel of the class's picture: ink +1, paper −1.",
        )

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        codes = array_of(cast(RadialBasis, self.seen.module).codes)
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {"input": self.vector, "weight": codes[chosen]}


@works_out(nn.Softmax)
class Softmax(Unit):
    """exp(logit) / Σ exp(logit); the largest logit is subtracted first, which does not change the result."""

    kind = "softmax"

    def working(self, cell: Cell) -> Working:
        logits = self.vector.astype(np.float64)
        top = float(logits.max())
        powers = np.exp(logits - top)
        own, total = float(powers[cell.channel]), float(powers.sum())
        steps = (
            Step("logit", float(logits[cell.channel])),
            Step("less the largest logit", float(logits[cell.channel]) - top),
            Step("exp of that", own),
            Step("sum over all classes", total),
            Step("result", own / total),
        )
        shown = self.largest(np.ones(len(logits)), powers)
        return Working(
            self.kind, cell, "exp(logit) / Σ exp(logit)", steps, contributions=shown, inputs=len(logits)
        )

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        return {"input": self.vector}
