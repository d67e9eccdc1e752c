"""Receptive-field arithmetic: one function per operation that moves or combines pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from cnnviz.analysis.types import WHOLE, ReceptiveField

Pair = tuple[float, float]


def pair(value: Any) -> tuple[int, int]:
    """Convert a number or a (vertical, horizontal) sequence to a pair."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def slide(field: ReceptiveField, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> ReceptiveField:
    """Return the field after a sliding window: size + d(k − 1)·jump, jump·s, start − p·jump."""
    if field.whole:
        return field
    kernel, stride, padding, dilation = map(pair, (kernel, stride, padding, dilation))
    axes = [
        (size + d * (k - 1) * jump, jump * s, start - p * jump)
        for size, jump, start, k, s, p, d in zip(
            field.size, field.jump, field.start, kernel, stride, padding, dilation, strict=True
        )
    ]
    return _from_axes(axes)


def adaptive(field: ReceptiveField, input_size: Pair, output_size: Pair) -> ReceptiveField:
    """Return the field after adaptive pooling from `input_size` to `output_size` cells.

    Windows span ⌈in/out⌉ cells, and one more where they are not aligned.
    """
    if tuple(output_size) == (1, 1) and tuple(input_size) != (1, 1):
        return WHOLE
    if field.whole or tuple(input_size) == tuple(output_size):
        return field
    axes = []
    for size, jump, start, n, m in zip(
        field.size, field.jump, field.start, input_size, output_size, strict=True
    ):
        kernel = math.ceil(n / m) + (1 if n % m else 0)
        axes.append((size + (kernel - 1) * jump, jump * n / m, start))
    return _from_axes(axes)


def resample(field: ReceptiveField, input_size: Pair, output_size: Pair, taps: int) -> ReceptiveField:
    """Return the field after interpolation from `taps` neighbors (1 nearest, 2 bilinear, 4 bicubic).

    The cells that are read form no regular grid: the result is off by at most one of their jumps.
    """
    if field.whole:
        return field
    axes = []
    for size, jump, start, n, m in zip(
        field.size, field.jump, field.start, input_size, output_size, strict=True
    ):
        first = (0.5 * n / m - 0.5) - (taps / 2 - 1) if taps > 1 else 0.0
        axes.append((size + (taps - 1) * jump, jump * n / m, start + math.floor(first) * jump))
    return _from_axes(axes)


def shifted(field: ReceptiveField, padding: Sequence[int]) -> ReceptiveField:
    """Return the field after zero padding `(left, right, top, bottom)`."""
    if field.whole:
        return field
    left, top = padding[0], (padding[2] if len(padding) > 2 else 0)
    start = (field.start[0] - top * field.jump[0], field.start[1] - left * field.jump[1])
    return replace(field, start=start)


def union(fields: Iterable[ReceptiveField]) -> ReceptiveField:
    """Return the union of fields, from the first start to the last end; the whole input for unequal jumps."""
    fields = list(fields)
    first = fields[0]
    if len(fields) == 1:
        return first
    if any(f.whole for f in fields) or any(f.jump != first.jump for f in fields):
        return first if all(f == first for f in fields) else WHOLE
    axes = []
    for axis in (0, 1):
        low = min(f.start[axis] for f in fields)
        high = max(f.start[axis] + f.size[axis] for f in fields)
        axes.append((high - low, first.jump[axis], low))
    return _from_axes(axes)


def _from_axes(axes: Sequence[tuple[float, float, float]]) -> ReceptiveField:
    (h_size, h_jump, h_start), (w_size, w_jump, w_start) = axes
    return ReceptiveField((h_size, w_size), (h_jump, w_jump), (h_start, w_start))
