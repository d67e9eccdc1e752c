"""A layer list made into a module."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from cnnviz.models.layers import LayerList
from cnnviz.models.sizes import working_sizes


def module_from(layers: LayerList) -> nn.Sequential:
    """Build the list; forward takes `(N, C, H, W)` and gives `(N, classes)`.

    Raises `ValueError` that names the first layer that does not fit, and the input sizes that work where only
    the size is at fault.
    """
    problem = layers.problem()
    if problem:
        raise ValueError(" ".join(filter(None, (problem, working_sizes(layers)))))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for step in layers.steps():
        assert step.input_shape is not None
        parts[step.name] = step.layer.module(step.input_shape, layers.classes)
    return nn.Sequential(parts)
