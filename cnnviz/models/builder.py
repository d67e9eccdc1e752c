"""A layer list made into a module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from cnnviz.models.layers import LayerList
from cnnviz.models.limits import MAX_SIDE

# Which input sizes a layer list can work with. Imports no torch.


def working_sizes(layers: LayerList) -> str:
    """A sentence that says which square inputs work; empty where none does, so that size is not at fault.

    Halving finds both ends: windows that fit an input fit a larger one, and a larger one only costs more.
    """
    smallest = _first(lambda side: not _square(layers, side).problem(bounded=False))
    if smallest > MAX_SIDE or _square(layers, smallest).problem():
        return ""
    if min(layers.input[1:]) < smallest:
        return f"The smallest input that works is {smallest}×{smallest}."
    largest = _first(lambda side: side > smallest and bool(_square(layers, side).problem())) - 1
    return f"Inputs from {smallest}×{smallest} to {largest}×{largest} work."


def _first(holds: Callable[[int], bool]) -> int:
    """The first side from which `holds` stays true, or one past the largest."""
    low, high = 1, MAX_SIDE + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _square(layers: LayerList, side: int) -> LayerList:
    return layers.model_copy(update={"input": (layers.input[0], side, side)})


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
