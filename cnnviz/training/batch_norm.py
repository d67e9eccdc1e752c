"""Batch normalization: which layers have it, with what momentum, and batch in place of running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norm_layers(model: nn.Module) -> dict[str, _BatchNorm]:
    """Return the layers that keep running statistics, by name and in the model's order."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, _BatchNorm) and part.track_running_stats and part.running_mean is not None
    }


def describe_batch_norm(model: nn.Module) -> list[dict[str, Any]]:
    """Describe each such layer: `name`, `momentum` (None: a mean over all batches) and `updates` so far."""
    return [
        {"name": name, "momentum": _number(part.momentum), "updates": _updates(part)}
        for name, part in batch_norm_layers(model).items()
    ]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch normalization use each batch's own statistics, in a model that is in evaluation mode.

    Running statistics and their count of batches are neither read nor changed.
    """
    layers = [part for part in batch_norm_layers(model).values() if not part.training]
    for part in layers:
        # Training mode without tracking: PyTorch then hands no running statistics to the kernel at all.
        part.training, part.track_running_stats = True, False
    try:
        yield
    finally:
        for part in layers:
            part.training, part.track_running_stats = False, True


def _number(momentum: float | None) -> float | None:
    return None if momentum is None else float(momentum)


def _updates(part: _BatchNorm) -> int:
    return 0 if part.num_batches_tracked is None else int(part.num_batches_tracked)
