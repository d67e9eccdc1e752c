"""Layer program: a layer list and its weights, converted for `forward.js` in the browser.

Imports no torch: the start page must be available before torch is. A page that has a module in memory passes
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
    """Network in the form that `forward.js` runs.

    Attributes:
        layers: One dictionary per layer, with its `op` and the offsets of its weights in `weights`.
        weights: All weights, concatenated, float32.
        input_shape: `(C, H, W)`.
    """

    layers: tuple[dict[str, Any], ...]
    weights: Floats
    input_shape: tuple[int, int, int]

    def facts(self) -> dict[str, Any]:
        """Return the part that is sent to the browser as JSON, besides the weights."""
        return {"input": list(self.input_shape), "layers": list(self.layers)}


class WeightBuffer:
    """Buffer of concatenated arrays, addressed by offset."""

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
        """Return the array called `name`; raise `InferenceError` where the state dict has none."""
        if name not in self._state:
            raise InferenceError(f"The weights have no '{name}', which the layer list needs.")
        return self._state[name]

    def joined(self) -> Floats:
        """Concatenate all arrays."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def layer_program(layers: LayerList, state: Mapping[str, NDArray[Any]]) -> LayerProgram:
    """Convert a layer list; dropout is omitted, since it does nothing in evaluation mode.

    Args:
        layers: List whose layers fit its input.
        state: State dict as arrays, by PyTorch's names (`conv1.weight`).

    Raises:
        InferenceError: For a kind of layer that does not run in a browser, or missing weights.
    """
    buffer = WeightBuffer(state)
    translated = [
        {"name": step.name, **_translate(step.layer, step.name, buffer)}
        for step in layers.steps()
        if not isinstance(step.layer, Dropout)
    ]
    return LayerProgram(tuple(translated), buffer.joined(), layers.input)


def _translate(layer: Layer, name: str, buffer: WeightBuffer) -> dict[str, Any]:
    """Convert one layer to a dictionary; its weights are appended to `buffer`."""
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
