"""Results that need no computing.

On the meta device only their shape matters, and torch takes 50–500 µs to find what is known. Whatever could
fail is left to torch, so that a misfit is still reported.
"""

from __future__ import annotations

from typing import Any

import torch

_SAME_SHAPE = frozenset(
    ("relu", "relu6", "silu", "gelu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "dropout", "softmax")
)
_IN_PLACE = frozenset(("add_", "mul_", "__iadd__", "__imul__"))
_JOINS = frozenset(("add", "mul")) | _IN_PLACE


def shortcut(name: str, args: Any, kwargs: Any) -> Any:
    """The result of calling function `name`, or None where torch must be asked."""
    first = args[0] if args else None
    if name == "cat" and isinstance(first, (list, tuple)) and first and first[0].is_meta:
        return _concatenated(args, kwargs)
    if not isinstance(first, torch.Tensor) or not first.is_meta:
        return None
    shape = first.shape
    if name in _SAME_SHAPE or _normalises(name, shape, args, kwargs):
        return first if kwargs.get("inplace") else _empty(shape, first)
    if name in _JOINS:
        return _joined(name, first, args)
    if name == "adaptive_avg_pool2d" and args[1] in (1, (1, 1)) and first.dim() == 4:
        return _empty((*shape[:2], 1, 1), first)
    if name == "conv2d":
        return _convolved(first, args)
    if name == "linear" and len(args) > 1 and args[1].shape[-1] == shape[-1]:
        return _empty((*shape[:-1], args[1].shape[0]), first)
    if name == "multi_head_attention_forward" and not kwargs.get("need_weights", True):
        return _empty(shape, first), None
    return None


def _empty(shape: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, device="meta")


def _joined(name: str, first: torch.Tensor, args: Any) -> torch.Tensor | None:
    other = args[1] if len(args) == 2 else None
    if not isinstance(other, torch.Tensor) or not other.is_meta or other.dtype != first.dtype:
        return None
    left, right = first.shape, other.shape
    if left == right:
        return first if name in _IN_PLACE else _empty(left, first)
    if name in _IN_PLACE or len(left) != len(right):
        return None
    if any(a != b and a != 1 and b != 1 for a, b in zip(left, right, strict=True)):
        return None
    return _empty([max(a, b) for a, b in zip(left, right, strict=True)], first)


def _concatenated(args: Any, kwargs: Any) -> torch.Tensor | None:
    """The result of `cat(tensors, 1)` of maps of one size."""
    tensors = args[0]
    axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    if axis != 1 or len({(t.dim(), t.shape[0], *t.shape[2:], t.dtype, t.is_meta) for t in tensors}) > 1:
        return None
    count, _, *sides = tensors[0].shape
    return _empty((count, sum(t.shape[1] for t in tensors), *sides), tensors[0])


def _convolved(first: torch.Tensor, args: Any) -> torch.Tensor | None:
    """The result of `conv2d(input, weight, bias, stride, padding, dilation, groups)` where it is plain."""
    if len(args) < 7 or first.dim() != 4 or any(isinstance(value, int | str) for value in args[3:6]):
        return None
    count, channels, *sides = first.shape
    out, inputs, *kernel = args[1].shape
    cells = [_cells(n, k, *window) for n, k, *window in zip(sides, kernel, *args[3:6], strict=True)]
    fits = inputs * args[6] == channels and first.dtype == args[1].dtype and min(cells) > 0
    return _empty((count, out, *cells), first) if fits else None


def _cells(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return int((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)


def _normalises(name: str, shape: Any, args: Any, kwargs: Any) -> bool:
    if name == "batch_norm":
        mean = args[1] if len(args) > 1 else kwargs.get("running_mean")
        learnable = not kwargs.get("training") or shape.numel() > shape[1]
        return learnable and mean is not None and mean.shape[0] == shape[1]
    if name == "layer_norm":
        normalised = tuple(args[1])
        return tuple(shape[-len(normalised) :]) == normalised
    return False
