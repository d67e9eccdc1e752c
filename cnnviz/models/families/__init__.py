"""One file a family; each registers its models when imported, and each file here is found by itself."""

from __future__ import annotations

from cnnviz.models.layers import Activation, BatchNorm, Init, Layer, LocalResponseNorm, Pool

# Layers that several families write in the same way. Imports no torch.

LRN_ALPHA = {"lrn-paper": 5e-4, "lrn-article": 1e-4}
"""In torch's convention, which divides alpha by the window of 5: the paper's 1e-4 is 5e-4 here."""


def initial(scheme: str, bias: float = 0.0) -> Init:
    """How a layer starts; `bias` is its constant under `paper` and `article`, which draw N(0, 0.01²).

    `he` and `keras` (Glorot uniform) start biases at 0; `default` leaves PyTorch's rule alone.
    """
    if scheme in ("paper", "article"):
        return Init(weights="normal", std=0.01, bias=bias)
    if scheme == "he":
        return Init(weights="he", bias=0.0)
    if scheme == "keras":
        return Init(weights="glorot", bias=0.0)
    return Init()


def activation(function: str, number: int) -> Activation:
    """An activation named after its function: `relu1`."""
    return Activation.model_validate({"name": f"{function}{number}", "function": function})


def normalised(kind: str, number: int, function: str, local_response: bool) -> list[Layer]:
    """An activation with the normalisation that goes with it.

    Batch normalisation stands before it (Ioffe and Szegedy, 2015); local_response response normalisation after it, and
    only where `local_response` (Krizhevsky et al., 2012: after the first two convolutions).
    """
    active = activation(function, number)
    if kind == "batch":
        return [BatchNorm(name=f"norm{number}"), active]
    if kind in LRN_ALPHA and local_response:
        return [active, LocalResponseNorm(name=f"norm{number}", alpha=LRN_ALPHA[kind])]
    return [active]


def pooling(kind: str, number: int) -> Pool:
    """Max pooling by 2: `overlapping` looks at 3×3, `plain` at 2×2."""
    return Pool(name=f"pool{number}", kernel=3 if kind == "overlapping" else 2, stride=2)
