"""Activations and their ranges: the loss and probability that are possible when the logits pass through one.

Cross-entropy applies softmax to the network's output. With outputs between `low` and `high` the true class
leads the others by at most D = high − low, so that its probability is at most e^D/(e^D + C − 1).
"""

from __future__ import annotations

import math

FUNCTIONS: dict[str, str] = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "RReLU": "rrelu",
    "PReLU": "prelu",
    "ELU": "elu",
    "SELU": "selu",
    "CELU": "celu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "Hardswish": "hardswish",
    "Sigmoid": "sigmoid",
    "Hardsigmoid": "hardsigmoid",
    "LogSigmoid": "logsigmoid",
    "Tanh": "tanh",
    "Hardtanh": "hardtanh",
    "ScaledTanh": "scaled_tanh",
    "Softsign": "softsign",
    "Softplus": "softplus",
    "Softmax": "softmax",
    "Softmax2d": "softmax",
    "Softmin": "softmin",
    "LogSoftmax": "log_softmax",
    "Threshold": "threshold",
    "Hardshrink": "hardshrink",
    "Softshrink": "softshrink",
    "Tanhshrink": "tanhshrink",
    "GLU": "glu",
}
"""Function that a layer of this type applies, by its name in `torch.nn.functional`."""

NAMES: dict[str, str] = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "leaky ReLU",
    "rrelu": "randomized leaky ReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "log_softmax": "log-softmax",
    "logsigmoid": "log-sigmoid",
    "hardsigmoid": "hard sigmoid",
    "hardtanh": "hard tanh",
    "scaled_tanh": "scaled tanh",
    "hardswish": "hard swish",
}
"""Name of a function in a sentence, where it differs from the identifier."""

BOUNDED: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softmin": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "scaled_tanh": (-1.7159, 1.7159),
    "relu6": (0.0, 6.0),
}
"""Output range of the bounded functions (with PyTorch's defaults)."""
CUTTING = frozenset({"relu", "threshold", "hardshrink"})
"""Unbounded functions that are flat where a logit is below 0, so that it gets no gradient there."""
HARMLESS = frozenset({"log_softmax"})
"""Functions without effect: cross-entropy applies log-softmax, which is idempotent."""
SATURATING = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})


def name_of(function: str) -> str:
    """Return a function's name as written in a sentence."""
    return NAMES.get(function, function.replace("_", " ")) if function else "an activation"


def loss_floor(low: float, high: float, classes: int, smoothing: float = 0.0) -> float:
    """Compute the lowest cross-entropy of outputs in [low, high], in nats.

    With the true class d above all others the loss is ln(e^d + C − 1) − q·d, where q = 1 − ε + ε/C is the
    true class's target with label smoothing ε (1 without). It decreases with d up to ln(q/(ε/C)), its global
    minimum, if the range allows that d.
    """
    lead = high - low
    right = 1 - smoothing + smoothing / classes
    if smoothing:
        lead = min(lead, math.log(right * classes / smoothing))
    return lead + math.log1p((classes - 1) * math.exp(-lead)) - right * lead


def largest_probability(low: float, high: float, classes: int) -> float:
    """Compute the highest softmax probability of a class, for outputs in [low, high]."""
    return 1 / (1 + (classes - 1) * math.exp(low - high))
