"""Models on the meta device, built or copied there without allocating or initializing weights."""

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
    # The operations inside `nn.init.trunc_normal_`.
    *(torch.Tensor.erfinv_, torch.Tensor.mul_, torch.Tensor.add_, torch.Tensor.clamp_),
    *(nn.init.uniform_, nn.init.normal_, nn.init.constant_, nn.init.kaiming_uniform_),
}


class _WithoutMemory(TorchFunctionMode):
    """Context that creates weights on the meta device and skips their initialization, in this thread only.

    Constants of a constructor (`torch.arange`, `torch.tensor`) keep their values: the RegNets compute their
    widths with tensors.
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
    """Build a model on the meta device (no memory for weights and buffers), in evaluation mode.

    Where the constructor reads sampled values, it is built with memory first and then copied.
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
    """Copy `model` to the meta device, in evaluation mode; the original is not changed.

    Raises:
        ValueError: In one sentence, for a network that holds something that cannot be copied.
    """
    tensors = [*model.parameters(), *model.buffers()]
    return deep_copy(model, {id(tensor): _without_values(tensor) for tensor in tensors}).eval()


def deep_copy(model: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """Copy a network; raise `ValueError` in one sentence where it holds what cannot be copied, as a lock."""
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "").rstrip(".") or "no reason is given"
        raise ValueError(
            f"{type(model).__name__} cannot be copied: {type(error).__name__}, {reason}."
        ) from None


def _forget_values(model: nn.Module) -> nn.Module:
    known: dict[int, Any] = {}
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and not tensor.is_meta:
                    store[name] = known.setdefault(id(tensor), _without_values(tensor))
    return model


def _without_values(tensor: Any) -> Any:
    """Move the tensor to the meta device.

    Integer tensors keep their values, since models index and loop with them.
    """
    if is_lazy(tensor):  # Its shape is known only after the first forward pass.
        return tensor
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
    return tensor.detach().to("meta") if tensor.is_floating_point() else tensor
