"""Probabilities from logits."""

from __future__ import annotations

import numpy as np
from torch import nn

from cnnviz.interpret.arithmetic.base import works_out
from cnnviz.interpret.arithmetic.linear import Unit
from cnnviz.interpret.arithmetic.working import Cell, Step, Working
from cnnviz.interpret.maps import Floats


@works_out(nn.Softmax)
class Softmax(Unit):
    """exp(logit) by the sum of all of them; the largest logit is taken off first, which changes nothing."""

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
