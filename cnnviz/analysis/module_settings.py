"""Properties of a module from its attributes: settings, parameters, and its kind where it never ran."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from cnnviz.analysis.types import Kind

_ATTRIBUTES = {
    "in_channels": "in",
    "in_features": "in",
    "input_size": "in",
    "hidden_size": "out",
    "out_channels": "out",
    "out_features": "out",
    "num_features": "features",
    "normalized_shape": "features",
    "num_channels": "features",
    "embed_dim": "features",
    "num_heads": "heads",
    "num_layers": "layers",
    "bidirectional": "both ways",
    "num_groups": "groups",
    "kernel_size": "kernel",
    "stride": "stride",
    "padding": "padding",
    "dilation": "dilation",
    "groups": "groups",
    "ceil_mode": "ceil",
    "output_size": "cells",
    "size": "size",
    "mode": "mode",
    "p": "p",
    "eps": "eps",
    "momentum": "momentum",
    "alpha": "alpha",
    "beta": "beta",
    "k": "k",
}
_ORDER = tuple(dict.fromkeys((*_ATTRIBUTES.values(), "bias", "weights")))
_DEFAULTS = {
    "dilation": 1,
    "groups": 1,
    "padding": 0,
    "ceil": False,
    "stride": 1,
    "layers": 1,
    "both ways": False,
}
"""Default values, which are omitted unless the module is a convolution."""


def settings(module: nn.Module) -> dict[str, Any]:
    """Return the constructor settings of the module, under common names."""
    convolves = isinstance(module, nn.modules.conv._ConvNd)
    result: dict[str, Any] = {}
    for attribute in _ATTRIBUTES.keys() & module.__dict__.keys():
        name, value = _ATTRIBUTES[attribute], module.__dict__[attribute]
        if not isinstance(value, (int, float, str, tuple, list)):
            continue
        value = list(value) if isinstance(value, (tuple, list)) else value
        if convolves or value not in (_DEFAULTS.get(name, object()), [_DEFAULTS.get(name)] * 2):
            result[name] = value
    if isinstance(module, nn.Linear) or convolves:
        result["bias"] = module.bias is not None
    shapes = [list(parameter.shape) for parameter in own_parameters(module)]
    if shapes and "bias" not in result:
        result["weights"] = shapes
    return {name: result[name] for name in _ORDER if name in result}


def is_unit(module: nn.Module) -> bool:
    """Return whether the module is one row with its children: it has none, or does not call them."""
    return not module._modules or isinstance(module, nn.MultiheadAttention)


def own_parameters(module: nn.Module) -> Iterable[nn.Parameter]:
    """Return the parameters that count in this module's row."""
    if isinstance(module, nn.MultiheadAttention):
        return module.parameters()
    return [parameter for parameter in module._parameters.values() if parameter is not None]


def own_buffers(module: nn.Module) -> int:
    """Count the values of the buffers in this module's row."""
    if isinstance(module, nn.MultiheadAttention):
        return sum(buffer.numel() for buffer in module.buffers())
    return sum(buffer.numel() for buffer in module._buffers.values() if buffer is not None)


def kind_of(module: nn.Module) -> Kind:
    """Return the kind of a module by its type, for one that took part in no pass."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return "conv"
    if isinstance(module, nn.Linear | nn.Bilinear):
        return "fc"
    if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
        return "norm"
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return "recurrent"
    return "attention" if isinstance(module, nn.MultiheadAttention) else "other"
