"""Keras layers as torch modules: module, output shape and parameter count of each layer class.

A function per layer class maps its configuration to parts: name suffix, module factory, output shape
(channels first, without the batch dimension), parameter count. Importing this module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnviz.models.layers.base import MAX_SIDE

if TYPE_CHECKING:
    from torch import nn

Sides = tuple[int, ...]
"""Shape of a value without its batch dimension, channels first."""
ACTIVATIONS = {
    "relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU",
    "swish": "SiLU", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "softsign": "Softsign",
    "hard_sigmoid": "Hardsigmoid", "hard_silu": "Hardswish", "hard_swish": "Hardswish", "mish": "Mish",
    "leaky_relu": "LeakyReLU",
}  # fmt: skip
"""Torch module of each activation, by Keras's name."""


class KerasError(ValueError):
    """Error for a `.keras` file that cannot be read, in one sentence."""


@dataclass
class LayerConfig:
    """Name and settings of a layer, and its input shapes."""

    name: str
    config: Mapping[str, Any]
    shapes: list[Sides]

    @property
    def shape(self) -> Sides:
        """Shape of the first input."""
        return self.shapes[0]

    def number(self, key: str, default: Any = None) -> int:
        """Return an integer setting from 1 to a million; raise `KerasError` otherwise."""
        value = self.config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10**6:
            raise KerasError(f"the layer '{self.name}' has {key} {str(value)[:40]}")
        return value

    def pair(self, key: str, default: Any = 1) -> tuple[int, int]:
        """Return a setting for height and width, each from 1 to the largest side.

        Raise `KerasError` otherwise.
        """
        value = self.config.get(key, default)
        value = [value, value] if isinstance(value, int) else value
        if len(value) != 2 or not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in value):
            raise KerasError(f"the layer '{self.name}' has {key} {str(value)[:40]}")
        return value[0], value[1]

    def maps(self) -> tuple[int, int, int]:
        """Return channels, height and width of the first input; raise `KerasError` for other axes."""
        if len(self.shape) != 3:
            raise KerasError(f"the layer '{self.name}' takes maps, not {len(self.shape)} axes")
        return self.shape[0], self.shape[1], self.shape[2]


Part = tuple[str, Callable[[], "nn.Module"], Sides, int]


def _window(
    facts: LayerConfig, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[list[int], tuple[int, int]]:
    """Compute the padding (left, right, top, bottom) and the output height and width of a sliding window."""
    _, *sides = facts.maps()
    same = facts.config.get("padding", "valid") == "same"
    pads: list[int] = []
    out = []
    for side, k, s, d in zip(sides, kernel, stride, dilation, strict=True):
        wide = d * (k - 1) + 1
        out.append(-(-side // s) if same else (side - wide) // s + 1)
        total = max(0, (out[-1] - 1) * s + wide - side) if same else 0
        pads = [total // 2, total - total // 2, *pads]
    return pads, (out[0], out[1])


def _convolution(facts: LayerConfig, *, depthwise: bool = False) -> list[Part]:
    from functools import partial

    from cnnviz.models.external import keras_network

    channels, _, _ = facts.maps()
    kernel, stride = facts.pair("kernel_size"), facts.pair("strides", 1)
    dilation = facts.pair("dilation_rate", 1)
    groups = channels if depthwise else facts.number("groups", 1)
    filters = channels * facts.number("depth_multiplier", 1) if depthwise else facts.number("filters")
    if channels % groups or filters % groups:
        raise KerasError(f"the layer '{facts.name}' has {groups} groups of {channels} maps")
    pads, sides = _window(facts, kernel, stride, dilation)
    bias = bool(facts.config.get("use_bias", True))
    build = partial(
        keras_network.convolution, channels, filters, kernel, stride, pads, dilation, groups, bias
    )
    count = filters * (channels // groups * kernel[0] * kernel[1] + bias)
    shape = (filters, *sides)
    return [("", build, shape, count), *_activation(facts, shape)]


def _separable(facts: LayerConfig) -> list[Part]:
    plain = {**facts.config, "use_bias": False, "activation": "linear"}
    first = _convolution(LayerConfig(facts.name, plain, facts.shapes), depthwise=True)
    shape = first[-1][2]
    pointwise = {**facts.config, "kernel_size": 1, "strides": 1, "dilation_rate": 1, "groups": 1}
    second = _convolution(LayerConfig(facts.name, pointwise, [shape]))
    named = [(suffix or "_pointwise", *part) for suffix, *part in second]
    return [("_depthwise", *first[0][1:]), *named]  # type: ignore[list-item]


def _dense(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from torch import nn

    if len(facts.shape) != 1:
        raise KerasError(f"the layer '{facts.name}' is Dense over maps; put Flatten or pooling before it")
    units, bias = facts.number("units"), bool(facts.config.get("use_bias", True))
    build = partial(nn.Linear, facts.shape[0], units, bias=bias)
    return [("", build, (units,), units * (facts.shape[0] + bias)), *_activation(facts, (units,))]


def _activation(facts: LayerConfig, shape: Sides) -> list[Part]:
    """Plan the activation inside a layer's configuration, if any."""
    name = facts.config.get("activation")
    if name in (None, "linear"):
        return []
    return [("_activation", _activation_module(facts, name, shape), shape, 0)]


def _activation_module(facts: LayerConfig, name: Any, shape: Sides) -> Callable[[], nn.Module]:
    from functools import partial

    from torch import nn

    if name == "softmax":
        return partial(nn.Softmax, dim=1)
    if name not in ACTIVATIONS:
        raise KerasError(f"the layer '{facts.name}' has the unknown activation {str(name)[:60]}")
    return getattr(nn, ACTIVATIONS[name])  # type: ignore[no-any-return]


def _activations(facts: LayerConfig) -> list[Part]:
    name = facts.config.get("activation", "linear")
    build = _activation_module(facts, name, facts.shape) if name != "linear" else _identity()
    return [("", build, facts.shape, 0)]


def _identity() -> Callable[[], nn.Module]:
    from torch import nn

    return nn.Identity


def _named(kind: str, **settings: str) -> Callable[[LayerConfig], list[Part]]:
    """Return a converter for an activation layer; `settings` maps torch's argument names to Keras's."""

    def make(facts: LayerConfig) -> list[Part]:
        from functools import partial

        from torch import nn

        known = {ours: facts.config.get(theirs) for ours, theirs in settings.items()}
        values = {ours: float(value) for ours, value in known.items() if value is not None}
        return [("", partial(getattr(nn, kind), **values), facts.shape, 0)]

    return make


def _pooling(facts: LayerConfig, kind: str) -> list[Part]:
    from functools import partial

    from cnnviz.models.external import keras_network

    channels, _, _ = facts.maps()
    kernel = facts.pair("pool_size", 2)
    stride = facts.pair("strides") if facts.config.get("strides") else kernel
    pads, sides = _window(facts, kernel, stride, (1, 1))
    build = partial(keras_network.pooling, kind, kernel, stride, pads)
    return [("", build, (channels, *sides), 0)]


def _global(facts: LayerConfig, kind: str) -> list[Part]:
    from functools import partial

    from cnnviz.models.external import keras_network

    channels, _, _ = facts.maps()
    keepdims = bool(facts.config.get("keepdims", False))
    build = partial(keras_network.GlobalPool, kind, keepdims)
    return [("", build, (channels, 1, 1) if keepdims else (channels,), 0)]


def _norm(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from torch import nn

    axis = facts.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis
    if axis not in (-1, len(facts.shape)):
        raise KerasError(f"the layer '{facts.name}' normalizes over axis {axis}, not over channels")
    kind = nn.BatchNorm2d if len(facts.shape) == 3 else nn.BatchNorm1d
    affine = bool(facts.config.get("scale", True) or facts.config.get("center", True))
    build = partial(
        kind, facts.shape[0], eps=float(facts.config.get("epsilon", 1e-3)),
        momentum=1 - float(facts.config.get("momentum", 0.99)), affine=affine,
    )  # fmt: skip
    return [("", build, facts.shape, 2 * facts.shape[0] * affine)]


def _dropout(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from torch import nn

    return [("", partial(nn.Dropout, float(facts.config.get("rate", 0.5))), facts.shape, 0)]


def _flatten(facts: LayerConfig) -> list[Part]:
    from torch import nn

    return [("", nn.Flatten, (math.prod(facts.shape),), 0)]


def _padding(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from torch import nn

    padding = facts.config.get("padding", 1)
    padding = [padding, padding] if isinstance(padding, int) else padding
    (top, bottom), (left, right) = ([side, side] if isinstance(side, int) else side for side in padding)
    if not all(isinstance(side, int) and 0 <= side <= MAX_SIDE for side in (top, bottom, left, right)):
        raise KerasError(f"the layer '{facts.name}' has padding {str(padding)[:40]}")
    channels, height, width = facts.maps()
    shape = (channels, height + top + bottom, width + left + right)
    return [("", partial(nn.ZeroPad2d, (left, right, top, bottom)), shape, 0)]


def _upsampling(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from torch import nn

    channels, height, width = facts.maps()
    vertical, horizontal = facts.pair("size", 2)
    mode = "bilinear" if facts.config.get("interpolation") == "bilinear" else "nearest"
    build = partial(nn.Upsample, scale_factor=(float(vertical), float(horizontal)), mode=mode)
    return [("", build, (channels, height * vertical, width * horizontal), 0)]


def _rescaling(facts: LayerConfig) -> list[Part]:
    from functools import partial

    from cnnviz.models.external import keras_network

    scale, offset = (float(facts.config.get(key, default)) for key, default in (("scale", 1), ("offset", 0)))
    return [("", partial(keras_network.Rescaling, scale, offset), facts.shape, 0)]


def _join(facts: LayerConfig, operation: str) -> list[Part]:
    from functools import partial

    from cnnviz.models.external import keras_network

    first = facts.shapes[0]
    if operation == "concatenate":
        if facts.config.get("axis", -1) not in (-1, len(first)):
            raise KerasError(f"the layer '{facts.name}' joins along another axis than channels")
        if any(shape[1:] != first[1:] for shape in facts.shapes):
            raise KerasError(f"the layer '{facts.name}' joins maps of unequal sizes")
        shape: Sides = (sum(shape[0] for shape in facts.shapes), *first[1:])
    else:
        if any(len(shape) != len(first) for shape in facts.shapes):
            raise KerasError(f"the layer '{facts.name}' joins unequal shapes")
        shape = tuple(max(sides) for sides in zip(*facts.shapes, strict=True))
        if any(a not in (1, b) for operand in facts.shapes for a, b in zip(operand, shape, strict=True)):
            raise KerasError(f"the layer '{facts.name}' joins unequal shapes")
    return [("", partial(keras_network.Join, operation), shape, 0)]


def _depthwise(facts: LayerConfig) -> list[Part]:
    return _convolution(facts, depthwise=True)


def _pool_of(kind: str) -> Callable[[LayerConfig], list[Part]]:
    return lambda facts: _pooling(facts, kind)


def _global_of(kind: str) -> Callable[[LayerConfig], list[Part]]:
    return lambda facts: _global(facts, kind)


def _join_of(operation: str) -> Callable[[LayerConfig], list[Part]]:
    return lambda facts: _join(facts, operation)


LAYERS: dict[str, Callable[[LayerConfig], list[Part]]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "MaxPooling2D": _pool_of("max"),
    "AveragePooling2D": _pool_of("average"),
    "GlobalAveragePooling2D": _global_of("average"),
    "GlobalMaxPooling2D": _global_of("max"),
    "BatchNormalization": _norm,
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "Flatten": _flatten,
    "Activation": _activations,
    "ReLU": _named("ReLU"),
    "LeakyReLU": _named("LeakyReLU", negative_slope="negative_slope"),
    "ELU": _named("ELU", alpha="alpha"),
    "Softmax": lambda facts: [("", _activation_module(facts, "softmax", facts.shape), facts.shape, 0)],
    "ZeroPadding2D": _padding,
    "UpSampling2D": _upsampling,
    "Rescaling": _rescaling,
    "Add": _join_of("add"),
    "Subtract": _join_of("subtract"),
    "Multiply": _join_of("multiply"),
    "Average": _join_of("average"),
    "Maximum": _join_of("maximum"),
    "Concatenate": _join_of("concatenate"),
}
