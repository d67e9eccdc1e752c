"""Wrappers of torch's loss functions that notify listeners of every call; removed with the last listener.

`nn.CrossEntropyLoss` and the like look the function up in `torch.nn.functional` at every call, so one
replacement covers them all. A reference that was taken earlier (`from torch.nn.functional import
cross_entropy`, `criterion = functional.cross_entropy`) bypasses it; but torch's own function looks up its
kernel at every call, which is wrapped too and notifies where the function did not.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

WRAPPED = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
)
DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Those that broadcast input and target over each other."""
KERNELS: Mapping[str, tuple[Any, str]] = {
    name: (torch._C._nn, {"cross_entropy": "cross_entropy_loss", "nll_loss": "nll_loss_nd"}.get(name, name))
    for name in WRAPPED
} | {"binary_cross_entropy_with_logits": (torch, "binary_cross_entropy_with_logits")}
"""Where each function looks up its kernel."""
_KERNEL_POSITIONS = {
    "cross_entropy": ("weight", "reduction", "ignore_index", "label_smoothing"),
    "nll_loss": ("weight", "reduction", "ignore_index"),
    "binary_cross_entropy": ("weight", "reduction"),
    "binary_cross_entropy_with_logits": ("weight", "pos_weight", "reduction"),
} | dict.fromkeys(DISTANCES, ("reduction",))
_REDUCTIONS = ("none", "mean", "sum")
_POSITIONS = dict.fromkeys(
    ("cross_entropy", "nll_loss"), ("weight", "size_average", "ignore_index", "reduce", "reduction")
)


_CLASS_WEIGHTS = {
    "cross_entropy": ("weight",),
    "nll_loss": ("weight",),
    "binary_cross_entropy_with_logits": ("pos_weight",),
}


class LossCall(NamedTuple):
    """One call of a loss function."""

    function: str
    """Name in `torch.nn.functional`."""
    input: Tensor
    target: Tensor
    result: Tensor | None
    """None where the call raised."""
    reduction: str
    ignore_index: int
    label_smoothing: float
    error: Exception | None = None
    is_weighted: bool = False
    """Whether classes have weights."""


class Listener(Protocol):
    """Receiver of loss calls."""

    def loss_called(self, call: LossCall) -> None:
        """Handle a call; must not raise."""


_lock = threading.Lock()
_listeners: list[Listener] = []
_originals: dict[str, Callable[..., Tensor]] = {}
_wrappers: dict[str, Callable[..., Tensor]] = {}
_kernels: dict[str, Callable[..., Tensor]] = {}
_kernel_wrappers: dict[str, Callable[..., Tensor]] = {}
_function = threading.local()
"""`is_running` is true while a wrapped function runs, which notifies in place of its kernel."""


def listen(listener: Listener) -> None:
    """Notify `listener` of every call from now on."""
    with _lock:
        _listeners.append(listener)
        if len(_listeners) == 1:
            for name in WRAPPED:
                _install(name)
                _install_kernel(name)


def unlisten(listener: Listener) -> None:
    """Remove `listener`; with the last one torch's own functions are restored."""
    with _lock:
        if listener not in _listeners:
            return
        _listeners.remove(listener)
        if _listeners:
            return
        for name in WRAPPED:
            # Where our wrapper has been wrapped in turn, it stays in place and passes calls through.
            if getattr(functional, name) is _wrappers[name]:
                setattr(functional, name, _originals[name])
            module, kernel = KERNELS[name]
            if name in _kernels and getattr(module, kernel) is _kernel_wrappers[name]:
                setattr(module, kernel, _kernels[name])


def listening() -> int:
    """Return the number of listeners."""
    return len(_listeners)


def _install(name: str) -> None:
    current = getattr(functional, name)
    if current is _wrappers.get(name):
        return
    _originals[name], _wrappers[name] = current, _wrapped(name, current)
    setattr(functional, name, _wrappers[name])


def _install_kernel(name: str) -> None:
    module, kernel = KERNELS[name]
    current = getattr(module, kernel, None)
    if current is None or current is _kernel_wrappers.get(name):
        return
    _kernels[name], _kernel_wrappers[name] = current, _wrapped_kernel(name, current)
    setattr(module, kernel, _kernel_wrappers[name])


def _wrapped(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        if not _listeners or torch.compiler.is_compiling():
            return original(*args, **kwargs)
        was_running, _function.is_running = getattr(_function, "is_running", False), True
        try:
            result = original(*args, **kwargs)
        except Exception as error:
            _notify(name, args, kwargs, None, error)
            raise
        finally:
            _function.is_running = was_running
        _notify(name, args, kwargs, result, None)
        return result

    return call


def _wrapped_kernel(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    positions = _KERNEL_POSITIONS[name]

    def call(*args: Any, **kwargs: Any) -> Tensor:
        if getattr(_function, "is_running", False) or not _listeners or torch.compiler.is_compiling():
            return original(*args, **kwargs)
        given = args[:2]
        if name in DISTANCES:
            given = tuple(_unexpanded(value) for value in given)
        options = dict(zip(positions, args[2:], strict=False)) | kwargs
        if isinstance(options.get("reduction"), int):
            options["reduction"] = _REDUCTIONS[options["reduction"]]
        try:
            result = original(*args, **kwargs)
        except Exception as error:
            _notify(name, given, options, None, error)
            raise
        _notify(name, given, options, result, None)
        return result

    with suppress(AttributeError):
        functools.update_wrapper(call, original)
    return call


def _unexpanded(value: Any) -> Any:
    """Return a tensor as it was before `torch.broadcast_tensors`, apart from leading dimensions of 1."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return value
    for at in range(value.dim()):
        if value.stride(at) == 0 and value.shape[at] > 1:
            value = value.narrow(at, 0, 1)
    return value


def _notify(
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    result: Tensor | None,
    error: Exception | None,
) -> None:
    arguments = dict(zip(("input", "target", *_POSITIONS.get(name, ())), args, strict=False)) | dict(kwargs)
    loss_input, target = arguments.get("input"), arguments.get("target")
    if not isinstance(loss_input, Tensor) or not isinstance(target, Tensor):
        return
    if torch._C._functorch.is_functorch_wrapped_tensor(loss_input):  # of vmap or grad: has no storage
        return
    call = LossCall(
        name, loss_input, target, result, str(arguments.get("reduction") or "mean"),
        int(arguments.get("ignore_index", -100)), float(arguments.get("label_smoothing", 0.0)), error,
        any(isinstance(arguments.get(name), Tensor) for name in _CLASS_WEIGHTS.get(name, ())),
    )  # fmt: skip
    for listener in tuple(_listeners):
        listener.loss_called(call)
