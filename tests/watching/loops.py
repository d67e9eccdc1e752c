"""Small loops under `cnnviz.watch`, with places where faults go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun

CLASSES = 3


class Net(nn.Module):
    """Batch normalization, dropout, and a head, on images of 6×6."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(6 * 36, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.head(self.drop(functional.relu(self.norm(self.conv(x))).flatten(1)))
        return out


def images(count: int = 96, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A bright row in one of three places, `(N, 1, 6, 6)`, and which."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=draw)
    values = torch.rand(count, 1, 6, 6, generator=draw) * 0.5
    values[torch.arange(count), 0, labels * 2] += 0.5
    return values, labels


@contextmanager
def seeded() -> Iterator[None]:
    """Draw what is random from a fixed seed, and leave the generator as it was."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def loop(
    database: Database,
    *,
    model: nn.Module | None = None,
    make: Callable[[nn.Module], Any] = lambda m: torch.optim.SGD(m.parameters(), 0.05, momentum=0.9),
    loss: Callable[[Tensor, Tensor], Tensor] = lambda x, y: functional.cross_entropy(x, y),
    data: tuple[Tensor, Tensor] | None = None,
    order: Callable[[Tensor], Tensor] = lambda labels: torch.randperm(len(labels)),
    begin: Callable[[nn.Module], Any] = lambda m: m.train(),
    evaluation: Callable[[WatchedRun, nn.Module], None] | None = None,
    clear: bool = True,
    epochs: int = 4,
    batch: int = 12,
    **options: Any,
) -> WatchedRun:
    """Train and return the run, which has not ended."""
    with seeded():
        model = model or Net()
        optimizer = make(model)
        run: WatchedRun = cnnviz.watch(model, optimizer, database=database, **options)
        values, labels = data or images()
        for _ in range(epochs):
            begin(model)
            rows = order(labels)
            for start in range(0, len(rows) - batch + 1, batch):
                chosen = rows[start : start + batch]
                if clear:
                    optimizer.zero_grad()
                loss(model(values[chosen]), labels[chosen]).backward()
                optimizer.step()
            (evaluation or evaluate)(run, model)
    return run


def evaluate(run: WatchedRun, model: nn.Module) -> None:
    """Judge other images in evaluation mode."""
    model.eval()
    values, labels = images(60, seed=1)
    with torch.no_grad():
        run.evaluate(model(values), labels)
