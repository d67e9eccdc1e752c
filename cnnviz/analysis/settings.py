"""A module's own facts, read off its attributes: settings, parameters, and a kind where it never ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from cnnviz.analysis.types import Kind

_ATTRIBUTES = {
    "in_channels": "in",
    "in_features": "in",
    "out_channels": "out",
    "out_features": "out",
    "num_features": "features",
    "normalized_shape": "features",
    "num_channels": "features",
    "embed_dim": "features",
    "num_heads": "heads",
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
_QUIET = {"dilation": 1, "groups": 1, "padding": 0, "ceil": False, "stride": 1}
"""Settings not worth a word at these values, unless the module convolves."""


def settings(module: nn.Module) -> dict[str, Any]:
    """What the module was made with, under the field's names."""
    convolves = isinstance(module, nn.modules.conv._ConvNd)
    found: dict[str, Any] = {}
    for attribute, name in _ATTRIBUTES.items():
        value = module.__dict__.get(attribute)
        if not isinstance(value, int | float | str | tuple | list):
            continue
        value = list(value) if isinstance(value, tuple | list) else value
        if convolves or value not in (_QUIET.get(name, object()), [_QUIET.get(name)] * 2):
            found[name] = value
    if isinstance(module, nn.Linear) or convolves:
        found["bias"] = module.bias is not None
    shapes = [list(parameter.shape) for _, parameter in own_parameters(module)]
    if shapes and not isinstance(module, nn.Linear) and not convolves:
        found["weights"] = shapes
    return found


def is_unit(module: nn.Module) -> bool:
    """Whether the module is one row with all that it holds: it has no children, or calls none of them."""
    return isinstance(module, nn.MultiheadAttention) or not any(True for _ in module.children())


def own_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that count at this module's row."""
    yield from module.named_parameters(recurse=is_unit(module), remove_duplicate=False)


def own_buffers(module: nn.Module) -> int:
    """How many values it stores without training them."""
    return sum(buffer.numel() for buffer in module.buffers(recurse=is_unit(module)))


def kind_of(module: nn.Module) -> Kind:
    """The kind of a module that took part in no pass, by its type."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return "conv"
    if isinstance(module, nn.Linear | nn.Bilinear):
        return "fc"
    if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
        return "norm"
    return "attention" if isinstance(module, nn.MultiheadAttention) else "other"
