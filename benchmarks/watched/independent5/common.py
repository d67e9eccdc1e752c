"""What the loops of `independent-5` share: how they register, their batches, a tutorial's epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent4.common import hits, later, say
from benchmarks.watched.tasks import Loop, case

__all__ = [
    "PART",
    "RIGHT",
    "Data",
    "correct",
    "evaluate",
    "faulty",
    "hits",
    "later",
    "loader",
    "predicted_classes",
    "say",
    "train_one_epoch",
    "validate",
]

PART = "independent-5"
RIGHT: dict[str, Sequence[tuple[str, str]]] = {}
"""By a loop's function: what would have to be replaced by what in its text for it to be right."""

Data = tuple[Tensor, Tensor]


def faulty(cause: str, *allowed: str, right: Sequence[tuple[str, str]]) -> Callable[[Loop], Loop]:
    """Register a loop with a fault, and what would be right in its place (`harm` runs both)."""

    def wrap(loop: Loop) -> Loop:
        RIGHT[loop.__name__] = right
        return case(cause, *allowed, part=PART)(loop)

    return wrap


correct = case(None, part=PART)
"""Register a loop without a fault."""


def loader(data: Data, size: int = 32, shuffle: bool = True, **options: Any) -> DataLoader[Any]:
    """Return a `DataLoader` over a part of a data set."""
    return DataLoader(TensorDataset(*data), batch_size=size, shuffle=shuffle, **options)


def train_one_epoch(
    model: nn.Module, batches: DataLoader[Any], criterion: Any, optimizer: torch.optim.Optimizer
) -> float:
    """Train for an epoch as tutorials do, and return the mean loss."""
    model.train()
    total = 0.0
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(batches.dataset)  # type: ignore[arg-type]


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the class of each row, `(N,)`; a single output means class 1 above 0."""
    is_binary = logits.dim() == 1 or logits.shape[1] == 1
    return (logits.reshape(-1) > 0).long() if is_binary else logits.argmax(1)


@torch.no_grad()
def evaluate(run: Any, model: nn.Module, data: Data) -> None:
    """Evaluate a network in evaluation mode, and hand the result to the run."""
    model.eval()
    logits = model(data[0])
    run.evaluate(logits, data[1])
    say((predicted_classes(logits) == data[1].reshape(-1)).float().mean())


@torch.no_grad()
def validate(model: nn.Module, batches: DataLoader[Any]) -> float:
    """Evaluate a network as tutorials do: loss and accuracy over a loader."""
    model.eval()
    right, total = 0, 0.0
    for x, y in batches:
        out = model(x)
        total += float(nn.functional.cross_entropy(out, y)) * len(y)
        right += int((out.argmax(1) == y).sum())
    say(right / len(batches.dataset))  # type: ignore[arg-type]
    return total / len(batches.dataset)  # type: ignore[arg-type]
