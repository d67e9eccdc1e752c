"""A layer of a list in a few words, as it stands in the line of an editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnviz.models.layers import Layer
from cnnviz.models.layers.base import times
from cnnviz.sentences import percent

FUNCTIONS = {
    "relu": "ReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "leaky_relu": "leaky ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
}


def words(layer: Layer, classes: int) -> str:
    """What the layer is set to: `96 maps · 4×4 · stride 2`. What is usual is left out."""
    teller = TELLERS.get(layer.kind)
    told = teller(layer, classes) if teller else []
    return " · ".join(part for part in told if part)


def _unless(value: Any, usual: Any, text: str) -> str:
    return "" if value == usual else f"{text} {value if isinstance(value, int) else times(value)}"


def _conv(layer: Any, _classes: int) -> list[str]:
    return [
        f"{layer.out:,} maps",
        times(layer.kernel),
        _unless(layer.stride, 1, "stride"),
        _unless(layer.padding, 0, "padding"),
        _unless(layer.dilation, 1, "dilation"),
        _unless(layer.groups, 1, "groups"),
    ]


def _pool(layer: Any, _classes: int) -> list[str]:
    stride = "" if layer.stride is None else _unless(layer.stride, layer.kernel, "stride")
    return [f"{layer.mode} {times(layer.kernel)}", stride, _unless(layer.padding, 0, "padding")]


def _linear(layer: Any, classes: int) -> list[str]:
    return [f"{classes:,} classes" if layer.out == "classes" else f"{layer.out:,} units"]


def _inception(layer: Any, _classes: int) -> list[str]:
    return [" + ".join(map(str, (layer.one, layer.three, layer.five, layer.pool))) + " maps"]


TELLERS: dict[str, Callable[[Any, int], list[str]]] = {
    "conv": _conv,
    "pool": _pool,
    "linear": _linear,
    "activation": lambda layer, _: [FUNCTIONS[layer.function]],
    "softmax": lambda *_: ["softmax over the channels"],
    "dropout": lambda layer, _: [
        f"dropout {percent(layer.p)}",
        "whole maps" if layer.maps else "",
    ],
    "lrn": lambda layer, _: [f"LRN over {layer.size} maps"],
    "inception": _inception,
    "naive_inception": lambda layer, _: [f"{layer.one} + {layer.three} + {layer.five} maps + its input"],
    "residual": lambda layer, _: [f"{layer.out:,} maps", _unless(layer.stride, 1, "stride")],
    "resize": lambda layer, _: [f"to {times(layer.size)}"],
    "batch_norm": lambda *_: ["batch normalisation"],
    "flatten": lambda *_: ["maps to a vector"],
    "global_pool": lambda *_: ["mean of each map"],
}
