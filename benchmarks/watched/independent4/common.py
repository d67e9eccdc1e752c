"""What the loops of `independent-4` share: how they register, and what stands for a script's `print`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.watched.tasks import Loop, case

PART = "independent-4"
RIGHT: dict[str, Sequence[tuple[str, str]]] = {}
"""By a loop's function: what would have to be replaced by what in its text for it to be right."""
SAID: list[float] = []
"""Accuracies that loops have reported, the last one last."""
LATER: dict[str, Callable[[], float]] = {}
"""How the accuracy of the loop that ran last is measured, where it does not measure it by itself."""


def faulty(cause: str, *allowed: str, right: Sequence[tuple[str, str]]) -> Callable[[Loop], Loop]:
    """Register a loop with a fault, and what would be right in its place (`harm` runs both)."""

    def wrap(loop: Loop) -> Loop:
        RIGHT[loop.__name__] = right
        return case(cause, *allowed, part=PART)(loop)

    return wrap


correct = case(None, part=PART)
"""Register a loop without a fault."""


def say(accuracy: Tensor | float) -> None:
    """Stand for a script's `print` of an accuracy."""
    SAID.append(float(accuracy))


def later(measure: Callable[[], float]) -> None:
    """Say how a loop's accuracy can be measured once it has ended; the benchmark does not do so."""
    LATER["measure"] = measure


@torch.no_grad()
def hits(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Accuracy in evaluation mode; a single output says yes where it is above 0."""
    model.eval()
    out = model(inputs)
    if out.dim() == 1 or out.shape[1] == 1:
        return float(((out.reshape(-1) > 0).long() == labels.long().reshape(-1)).float().mean())
    return float((out.argmax(1) == labels).float().mean())
