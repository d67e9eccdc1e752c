"""Going through a data set in batches, with progress and a way to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret.errors import InterpretError, StoppedError

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images as the model takes them, float `(N, C, H, W)`, and labels, int64 `(N,)`."""
Stop = Callable[[], bool]
"""Asked between batches; True ends the work."""


def never() -> bool:
    """Nobody wants to stop."""
    return False


def stepped(
    batches: Batches, total: int | None, stage: str, progress: Progress = silent, stop: Stop = never
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches, telling `progress` how many of `total` images are done after each.

    Raises `StoppedError` as soon as `stop()` is true, and `InterpretError` where there was no image.
    """
    done = 0
    progress(Step(stage, 0, total))
    for images, labels in batches:
        if stop():
            raise StoppedError(f"Stopped after {done:,} images.")
        yield images, labels
        done += len(images)
        progress(Step(stage, done, total))
    if not done:
        raise InterpretError("There are no images to go through.")


def in_batches(images: Tensor, labels: Tensor, size: int = 256) -> Batches:
    """Tensors that are there already, as batches."""
    return list(zip(torch.split(images, size), torch.split(labels, size), strict=True))
