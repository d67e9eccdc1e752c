"""What the watched loops share: cases, data, networks, and one loop with places where faults go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun

Loop = Callable[["Bench"], WatchedRun]


@dataclass(frozen=True)
class Case:
    """One loop: what it is called, the cause that is right (None where nothing is wrong), and how it runs."""

    name: str
    cause: str | None
    loop: Loop
    part: str
    allowed: frozenset[str] = frozenset()
    """Further causes that are true of it too."""


CASES: list[Case] = []
"""Every loop; the modules `seen` and `blind` put theirs in."""


def case(cause: str | None, *allowed: str, part: str = "seen") -> Callable[[Loop], Loop]:
    """Register a loop under its function's name."""

    def wrap(loop: Loop) -> Loop:
        name = loop.__name__.strip("_").replace("_", "-")
        CASES.append(Case(name, cause, loop, part, frozenset(allowed)))
        return loop

    return wrap


# Data: made in milliseconds, learnable to 90 % and more in a hundred steps, and not those of any test.


@dataclass(frozen=True)
class Task:
    """Images or rows and labels, in two parts, and the network that goes with them."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    network: Callable[[], nn.Module]
    classes: int
    lr: float = 0.05


def stripes(count: int = 720) -> tuple[Tensor, Tensor]:
    """Gratings of four orientations with noise, `(N, 1, 12, 12)` in [0, 1]."""
    draw = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 4, (count,), generator=draw)
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    angle = labels * math.pi / 4
    phase = torch.rand(count, generator=draw) * 6.28
    along = torch.cos(angle)[:, None, None] * x + torch.sin(angle)[:, None, None] * y
    waves = 0.5 + 0.4 * torch.sin(1.4 * along + phase[:, None, None])
    noise = 0.15 * torch.randn(count, 12, 12, generator=draw)
    return (waves + noise).clamp(0, 1)[:, None], labels


def patches(count: int = 750) -> tuple[Tensor, Tensor]:
    """A colored square in one of five places and hues, `(N, 3, 10, 10)`, standardized."""
    draw = torch.Generator().manual_seed(6)
    labels = torch.randint(0, 5, (count,), generator=draw)
    images = 0.3 * torch.randn(count, 3, 10, 10, generator=draw)
    for row, label in enumerate(labels.tolist()):
        top, left = (label * 2) % 7, (label * 3) % 7
        images[row, label % 3, top : top + 4, left : left + 4] += 1.2
    return (images - images.mean()) / images.std(), labels


def rows(count: int = 640) -> tuple[Tensor, Tensor]:
    """Points around six centers in 20 dimensions, `(N, 20)`."""
    draw = torch.Generator().manual_seed(7)
    centers = 1.3 * torch.randn(6, 20, generator=draw)
    labels = torch.randint(0, 6, (count,), generator=draw)
    return centers[labels] + torch.randn(count, 20, generator=draw), labels


class StripeNet(nn.Module):
    """Two convolutions, batch normalization, dropout."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
        )  # fmt: skip
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(16 * 9, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.features(x).flatten(1)))


class Residual(nn.Module):
    """A small residual network."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(16), nn.BatchNorm2d(16)
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 25, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm1(self.stem(x)))
        x = functional.relu(x + self.conv2(functional.relu(self.norm2(self.conv1(x)))))
        return self.fc(functional.max_pool2d(x, 2).flatten(1))


class Mlp(nn.Module):
    """Three fully connected layers with dropout."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(20, 48), nn.Linear(48, 32)
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(functional.gelu(self.second(functional.gelu(self.first(x))))))


def _task(data: tuple[Tensor, Tensor], network: Callable[[], nn.Module], classes: int, lr: float) -> Task:
    images, labels = data
    cut = int(0.75 * len(images))
    return Task((images[:cut], labels[:cut]), (images[cut:], labels[cut:]), network, classes, lr)


TASKS = {
    "stripes": _task(stripes(), StripeNet, 4, 0.05),
    "patches": _task(patches(), Residual, 5, 0.02),
    "rows": _task(rows(), Mlp, 6, 0.05),
}


@dataclass
class Bench:
    """What a loop is given: a run database and a way to watch."""

    database: Database
    runs: list[WatchedRun] = field(default_factory=list)

    def watch(self, model: nn.Module, optimizer: Any, **options: Any) -> WatchedRun:
        """`cnnviz.watch` into the benchmark's own database."""
        run: WatchedRun = cnnviz.watch(model, optimizer, database=self.database, **options)
        self.runs.append(run)
        return run


def batches(data: tuple[Tensor, Tensor], size: int, shuffle: bool = True, seed: int = 0) -> Iterator[Any]:
    """Batches of a part, shuffled; the last ones that do not fill a batch are left out."""
    images, labels = data
    order = (
        torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        if shuffle
        else torch.arange(len(images))
    )
    for start in range(0, len(images) - size + 1, size):
        chosen = order[start : start + size]
        yield images[chosen], labels[chosen]


def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """The part that is right, in the mode that the network is in."""
    with torch.no_grad():
        return float((model(data[0]).argmax(1) == data[1]).float().mean())


def plain(
    bench: Bench,
    task: str = "stripes",
    *,
    epochs: int = 5,
    batch: int = 20,
    model: nn.Module | None = None,
    wrap: Callable[[Tensor], Tensor] = lambda logits: logits,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda logits, labels: functional.cross_entropy(
        logits, labels
    ),
    optimizer: Callable[[nn.Module, float], torch.optim.Optimizer] | None = None,
    zero: str = "before",
    train_mode: str = "always",
    eval_mode: bool = True,
    judge: str = "evaluate",
    data: Callable[[int, tuple[Tensor, Tensor]], tuple[Tensor, Tensor]] = lambda epoch, part: part,
    shuffle: bool = True,
    before_step: Callable[[nn.Module], None] = lambda model: None,
    after_step: Callable[[nn.Module, int], None] = lambda model, step: None,
    at_epoch: Callable[[nn.Module, int], None] = lambda model, epoch: None,
    batch_scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    epoch_scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    accumulate: int = 1,
    divide: bool = True,
    step: bool = True,
    test_labels: Callable[[Tensor], Tensor] = lambda labels: labels,
    train_labels: Callable[[Tensor], Tensor] = lambda labels: labels,
    scale: float = 1.0,
) -> WatchedRun:
    """One way to write a loop, with places where faults go."""
    torch.manual_seed(1)
    setup = TASKS[task]
    model = model or setup.network()
    make = optimizer or (lambda m, lr: torch.optim.SGD(m.parameters(), lr, momentum=0.9))
    steps = make(model, setup.lr)
    run = bench.watch(model, steps)
    total = epochs * (len(setup.train[0]) // batch)
    by_batch = batch_scheduler(steps, total) if batch_scheduler else None
    by_epoch = epoch_scheduler(steps, epochs) if epoch_scheduler else None
    done = 0
    if train_mode == "once":
        model.train()
    if train_mode == "never":
        model.eval()
    for epoch in range(epochs):
        if train_mode == "always":
            model.train()
        at_epoch(model, epoch)
        for images, labels in batches(data(epoch, setup.train), batch, shuffle, epoch):
            if zero == "before" and done % accumulate == 0:
                steps.zero_grad()
            value = loss(wrap(model(images * scale)), train_labels(labels))
            (value / accumulate if divide and accumulate > 1 else value).backward()
            done += 1
            if zero == "between":
                steps.zero_grad()
            before_step(model)
            if done % accumulate == 0 and step:
                steps.step()
                if zero == "after":
                    steps.zero_grad()
            after_step(model, done)
            if by_batch is not None:
                by_batch.step()
        if by_epoch is not None:
            by_epoch.step()
        if eval_mode:
            model.eval()
        images, labels = setup.test
        if judge != "none":
            with torch.no_grad():
                logits = model(images * scale)
                if judge == "evaluate":
                    run.evaluate(logits, test_labels(labels))
                elif judge == "loss":
                    loss(wrap(logits), test_labels(labels))
                else:
                    (logits.argmax(1) == labels).float().mean()
    return run
