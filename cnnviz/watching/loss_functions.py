"""Wrappers of torch's loss functions that notify listeners of every call; removed with the last listener.

`nn.CrossEntropyLoss` and the like look the function up in `torch.nn.functional` at every call, so one
replacement covers them all. A name that was imported earlier (`from torch.nn.functional import
cross_entropy`) bypasses the wrapper: `imported_by_name` detects it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Mapping
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
)
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


def listen(listener: Listener) -> None:
    """Notify `listener` of every call from now on."""
    with _lock:
        _listeners.append(listener)
        if len(_listeners) == 1:
            for name in WRAPPED:
                _install(name)


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


def listening() -> int:
    """Return the number of listeners."""
    return len(_listeners)


def imported_by_name(globals_: Mapping[str, Any]) -> str | None:
    """Return the name under which a module holds one of torch's own functions, which bypasses the wrapper."""
    originals = {id(function) for function in _originals.values()}
    return next((name for name, value in list(globals_.items()) if id(value) in originals), None)


def caller_globals(depth: int) -> Mapping[str, Any]:
    """Return the globals of the module that called, `depth` frames above the caller."""
    try:
        return sys._getframe(depth + 1).f_globals
    except ValueError:
        return {}


def _install(name: str) -> None:
    current = getattr(functional, name)
    if current is _wrappers.get(name):
        return
    _originals[name], _wrappers[name] = current, _wrapped(name, current)
    setattr(functional, name, _wrappers[name])


def _wrapped(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        if not _listeners or torch.compiler.is_compiling():
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except Exception as error:
            _notify(name, args, kwargs, None, error)
            raise
        _notify(name, args, kwargs, result, None)
        return result

    return call


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
    call = LossCall(
        name, loss_input, target, result, str(arguments.get("reduction") or "mean"),
        int(arguments.get("ignore_index", -100)), float(arguments.get("label_smoothing", 0.0)), error,
        any(isinstance(arguments.get(name), Tensor) for name in _CLASS_WEIGHTS.get(name, ())),
    )  # fmt: skip
    for listener in tuple(_listeners):
        listener.loss_called(call)
