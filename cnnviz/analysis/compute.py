"""The analysis itself, of a module that stands on the meta device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnviz.analysis.layer_table import graph, rows
from cnnviz.analysis.trace import Trace, trace
from cnnviz.analysis.types import Analysis, Shape

_TRAINING_BATCH = 2
"""Batch normalisation cannot train on a single value a channel."""


def compute(
    module: nn.Module, shape: Shape, name: str, title: str, classes: int, options: dict[str, Any]
) -> Analysis:
    """Analyse `module`, which is on the meta device and in evaluation mode, for an input of `shape`.

    Raises whatever the module raises where the input does not fit.
    """
    modules = dict(module.named_modules())
    seen = trace(modules, shape)
    extra = _training_pass(modules, shape, seen)
    table = rows(modules, seen, extra, _TRAINING_BATCH)
    last = seen.visits[0].output_shape
    return Analysis(
        model=name,
        title=title,
        input_shape=tuple(shape),
        classes=classes or (last[0] if len(last) == 1 else 0),
        options=options,
        rows=table,
        graph=graph(modules, table, seen, extra, (tuple(shape), last)),
        notes=_notes(seen, table),
    )


def _training_pass(modules: Mapping[str, nn.Module], shape: Shape, seen: Trace) -> Trace | None:
    """A second pass where some layers take part in training only, as auxiliary classifiers do."""
    reached = {operation.owner for operation in seen.operations} | {visit.module for visit in seen.visits}
    units = {visit.module for visit in seen.visits if visit.leaf}
    idle = [
        name
        for name, part in modules.items()
        if part._parameters and name not in reached and not _inside(name, units)
    ]
    if not idle:
        return None
    try:
        modules[""].train()
        return trace(modules, shape, _TRAINING_BATCH)
    except (RuntimeError, AssertionError, ValueError):
        return None
    finally:
        modules[""].eval()


def _inside(name: str, units: set[str]) -> bool:
    return any(name.startswith(f"{unit}.") for unit in units if unit)


_TAKEN = {"__bool__": "a condition on its values held", "__index__": "the value were 1"}


def _notes(seen: Trace, table: tuple[Any, ...]) -> tuple[str, ...]:
    notes = [
        f"The forward pass depends on its input's values{f' ({line})' if line else ''}: one path was "
        f"analysed, as if {_TAKEN.get(name, 'the value were 1')}."
        for name, line in seen.decided
    ]
    if seen.unknown:
        names = ", ".join(f"{name} ({count}×)" for name, count in seen.unknown.most_common())
        notes.append(f"Counted as one operation a value, for want of a rule of their own: {names}.")
    idle = [
        row.name for row in table if row.params and not row.calls and not row.macs and not row.elementwise
    ]
    unused = [row for row in table if row.name in idle and not row.outputs]
    if unused:
        notes.append(
            f"Never called as layers: {', '.join(row.name or 'the model itself' for row in unused[:5])}."
        )
    return tuple(notes)


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
    """Build a model whose weights and running statistics take no memory, in evaluation mode."""
    with _WithoutMemory():
        model = build()
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
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
    return tensor.detach().to("meta") if tensor.is_floating_point() else tensor
