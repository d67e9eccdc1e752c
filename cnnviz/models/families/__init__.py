"""Model families, one module per family; importing a module registers its models.

The modules are discovered automatically.
"""

from __future__ import annotations

from cnnviz.models.layers import Activation, BatchNorm, Init, Layer, LocalResponseNorm, Pool

# Layer constructors shared by the families. No torch import.

LRN_ALPHA = {"lrn-paper": 5e-4, "lrn-article": 1e-4}
"""LRN alpha in torch's convention, which divides alpha by the window of 5: the paper's 1e-4 is 5e-4 here."""


def initial(scheme: str, bias: float = 0.0) -> Init:
    """Return the weight initialization of a scheme.

    Args:
        scheme: `paper` or `article`, which draw weights from N(0, 0.01²); `he`; `keras` (Glorot uniform); or
            `default`, PyTorch's own rule.
        bias: Constant for the biases under `paper` and `article`; `he` and `keras` start biases at 0.
    """
    if scheme in ("paper", "article"):
        return Init(weights="normal", std=0.01, bias=bias)
    if scheme == "he":
        return Init(weights="he", bias=0.0)
    if scheme == "keras":
        return Init(weights="glorot", bias=0.0)
    return Init()


def activation(function: str, number: int) -> Activation:
    """Build an activation layer named after its function, such as `relu1`."""
    return Activation.model_validate({"name": f"{function}{number}", "function": function})


def normalised(kind: str, number: int, function: str, local_response: bool) -> list[Layer]:
    """Build an activation together with its normalization layer.

    Batch normalization is placed before the activation (Ioffe and Szegedy, 2015). Local response
    normalization is placed after it, and only where `local_response` is set (Krizhevsky et al., 2012: after
    the first two convolutions).
    """
    active = activation(function, number)
    if kind == "batch":
        return [BatchNorm(name=f"norm{number}"), active]
    if kind in LRN_ALPHA and local_response:
        return [active, LocalResponseNorm(name=f"norm{number}", alpha=LRN_ALPHA[kind])]
    return [active]


def pooling(kind: str, number: int) -> Pool:
    """Build max pooling with stride 2 and a 3×3 (`overlapping`) or 2×2 (`plain`) window."""
    return Pool(name=f"pool{number}", kernel=3 if kind == "overlapping" else 2, stride=2)
