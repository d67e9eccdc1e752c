"""Models without memory: built, or copied, on torch's meta device, and never initialised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

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
