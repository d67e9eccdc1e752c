"""What asking a model costs here: time a picture, and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch

from cnnviz.inference.predict import batch_size, peak_bytes
from cnnviz.inference.weights.loaded_model import Loaded

REPEATS = 5
ENOUGH = 2.0
"""Seconds after which fewer repeats must do."""


@dataclass(frozen=True)
class Cost:
    """Measured on this machine, as busy as it is, in evaluation mode on the CPU."""

    seconds: float
    """Median of a forward of one picture."""
    seconds_in_batch: float
    """Median of a forward of `batch` pictures, for each of them."""
    batch: int
    weight_bytes: int
    """Parameters and buffers."""
    working_bytes: int
    """The most that the tensors of a forward of one picture take at once beside the weights, counted."""


def measure(loaded: Loaded) -> Cost:
    """Ask the model a few times about nothing: its arithmetic does not depend on the picture."""
    one = torch.zeros(1, *loaded.input_shape)
    batch = batch_size(loaded)
    return Cost(
        seconds=_seconds(loaded, one),
        seconds_in_batch=_seconds(loaded, one.expand(batch, -1, -1, -1).contiguous()) / batch,
        batch=batch,
        weight_bytes=sum(t.nbytes for t in (*loaded.model.parameters(), *loaded.model.buffers())),
        working_bytes=peak_bytes(loaded.model, one),
    )


def _seconds(loaded: Loaded, images: torch.Tensor) -> float:
    taken: list[float] = []
    with torch.no_grad():
        loaded.model(images)
        while len(taken) < REPEATS and sum(taken) < ENOUGH:
            start = time.perf_counter()
            loaded.model(images)
            taken.append(time.perf_counter() - start)
    return median(taken)
