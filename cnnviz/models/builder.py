"""Build a module from a layer list; on torch's meta device, without memory, too."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

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


# Models without memory: built, or copied, on torch's meta device, and never initialised.

_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_FILLS = {
    *(torch.Tensor.zero_, torch.Tensor.fill_, torch.Tensor.normal_, torch.Tensor.uniform_),
    # The steps of a truncated normal, as `nn.init.trunc_normal_` takes them.
    *(torch.Tensor.erfinv_, torch.Tensor.mul_, torch.Tensor.add_, torch.Tensor.clamp_),
    *(nn.init.uniform_, nn.init.normal_, nn.init.constant_, nn.init.kaiming_uniform_),
}


class _WithoutMemory(TorchFunctionMode):
    """Makes weights without memory and skips filling them, in this thread only.

    What a constructor computes with (`torch.arange`, `torch.tensor`) keeps its values: the RegNets work
    out their widths in tensors.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _FACTORIES and kwargs.get("device") is None:
            return func(*args, **(kwargs | {"device": "meta"}))
        if func in _FILLS:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model whose weights and running statistics take no memory, in evaluation mode.

    It is built with memory first where its constructor asks for drawn values.
    """
    try:
        with _WithoutMemory():
            model = build()
    except Exception as error:
        if "meta" not in str(error):
            raise
        return meta_copy(build())
    return _forget_values(model).eval()


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of `model` on the meta device, in evaluation mode; the model itself is left as it is."""
    tensors = [*model.parameters(), *model.buffers()]
    memo = {id(tensor): _without_values(tensor) for tensor in tensors}
    return copy.deepcopy(model, memo).eval()


def _forget_values(model: nn.Module) -> nn.Module:
    known: dict[int, Any] = {}
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and not tensor.is_meta:
                    store[name] = known.setdefault(id(tensor), _without_values(tensor))
    return model


def _without_values(tensor: Any) -> Any:
    """The tensor on the meta device; whole numbers stay, since models index and loop with them."""
    if is_lazy(tensor):  # Its shape is known after a first pass.
        return tensor
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
    return tensor.detach().to("meta") if tensor.is_floating_point() else tensor
