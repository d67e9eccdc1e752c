"""Translate a layer list and its weights into the program that `forward.js` runs in a browser.

Imports no torch: the Start page must be there before torch is. A page that has a module in memory hands in
the state dict as arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.inference import InferenceError
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
    Softmax,
)
from cnnviz.models.layers.base import pair

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerProgram:
    """A network as `forward.js` runs it.

    Attributes:
        layers: One dictionary a layer, with its `op` and, for what it has of weights, offsets into `weights`.
        weights: All of them, float32, one after another.
        input_shape: `(C, H, W)`.
    """

    layers: tuple[dict[str, Any], ...]
    weights: Floats
    input_shape: tuple[int, int, int]

    def facts(self) -> dict[str, Any]:
        """What goes to the browser as JSON, beside the weights."""
        return {"input": list(self.input_shape), "layers": list(self.layers)}


class WeightBuffer:
    """Arrays one after another, each known by where it begins."""

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._state = state
        self._parts: list[Floats] = []
        self._size = 0

    def add(self, values: NDArray[Any]) -> int:
        """Append an array, and return its offset."""
        offset = self._size
        self._parts.append(np.ascontiguousarray(values, dtype=np.float32).ravel())
        self._size += self._parts[-1].size
        return offset

    def tensor(self, name: str) -> NDArray[Any]:
        """The array called `name`; raises `InferenceError` where the state dict has none."""
        if name not in self._state:
            raise InferenceError(f"The weights have no '{name}', which the layer list needs.")
        return self._state[name]

    def joined(self) -> Floats:
        """All of them as one array."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def layer_program(layers: LayerList, state: Mapping[str, NDArray[Any]]) -> LayerProgram:
    """Translate a layer list; dropout is left out, since evaluation does nothing with it.

    Args:
        layers: A list that fits its input.
        state: Its state dict as arrays, by PyTorch's names (`conv1.weight`).

    Raises:
        InferenceError: The list has a kind of layer that does not run in a browser, or weights are missing.
    """
    buffer = WeightBuffer(state)
    translated = [
        {"name": step.name, **_translate(step.layer, step.name, buffer)}
        for step in layers.steps()
        if not isinstance(step.layer, Dropout)
    ]
    return LayerProgram(tuple(translated), buffer.joined(), layers.input)


def _translate(layer: Layer, name: str, buffer: WeightBuffer) -> dict[str, Any]:
    """One layer as a dictionary; its weights go into `buffer`."""
    match layer:
        case Conv():
            weight = buffer.tensor(f"{name}.weight")
            return {
                "op": "conv2d", "out": len(weight), "kernel": pair(layer.kernel),
                "stride": pair(layer.stride), "padding": pair(layer.padding),
                "dilation": pair(layer.dilation), "groups": layer.groups, "weight": buffer.add(weight),
                "bias": _bias(layer.bias, name, buffer),
            }  # fmt: skip
        case Linear():
            weight = buffer.tensor(f"{name}.weight")
            return {
                "op": "linear", "out": len(weight), "weight": buffer.add(weight),
                "bias": _bias(layer.bias, name, buffer),
            }  # fmt: skip
        case BatchNorm():
            gain, shift, mean, variance = (
                buffer.tensor(f"{name}.{part}").astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gain / np.sqrt(variance + layer.eps)
            return {"op": "batch_norm", "scale": buffer.add(scale), "shift": buffer.add(shift - mean * scale)}
        case Pool():
            return {
                "op": "pool2d", "mode": layer.mode, "kernel": pair(layer.kernel),
                "stride": pair(layer.stride or layer.kernel), "padding": pair(layer.padding),
                "ceil": layer.ceil,
            }  # fmt: skip
        case LocalResponseNorm():
            return {"op": "lrn", "size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "k": layer.k}
        case Activation():
            return {"op": "activation", "function": layer.function}
        case GlobalPool() | Flatten() | Softmax():
            return {"op": layer.kind}
    raise InferenceError(
        f"Layer '{name}' ({layer.title.lower()}) does not run in the browser; convolution, pooling, "
        "normalization, activation, fully connected layers and softmax do."
    )


def _bias(has_bias: bool, name: str, buffer: WeightBuffer) -> int | None:
    return buffer.add(buffer.tensor(f"{name}.bias")) if has_bias else None
