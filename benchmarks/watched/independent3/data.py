"""Data of `independent-3`, and how its scripts become cases.

The part was written by an author who had not read the rules, with what may be said of each fault decided
before any loop was diagnosed. A script is a function of the bench and the name of a fault (none: as it
should be) that returns the accuracy that its author reads at the end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn

from benchmarks.watched.tasks import CASES, Bench, Case
from cnnviz.watching import WatchedRun

PART = "independent-3"

MEMORIZED = "over-fitting-data over-fitting-augmentation over-fitting-model"
"""What is true too where few samples are learned again and again."""

DIVERGED = "non-finite one-class unstable-training exploding-gradients dead-relu"
"""What is true too where steps are far too large."""

Script = Callable[..., float]
PLANTED: list[tuple[str, Script, str, str | None]] = []
"""Name, script, fault ("" for none) and cause of every loop, for measuring harm."""


def _register(name: str, script: Script, fault: str, cause: str | None, allowed: str = "") -> None:
    def loop(bench: Bench) -> WatchedRun:
        script(bench, fault) if fault else script(bench)
        return bench.runs[-1]

    CASES.append(Case(name, cause, loop, PART, frozenset(allowed.split())))
    PLANTED.append((name, script, fault, cause))


def plant(script: Script, faults: Sequence[tuple[str, str, str]]) -> None:
    """Register a script with each of its faults: the fault's name, its cause, and what else is true."""
    title = script.__name__.replace("_", "-")
    for fault, cause, allowed in faults:
        tail = re.sub("[^a-zA-Z0-9]+", "-", fault).strip("-")
        _register(f"{title}-{tail}", script, fault, cause, allowed)


def sound(script: Script) -> Script:
    """Register a script in which nothing is wrong."""
    _register(script.__name__.replace("_", "-"), script, "", None)
    return script


@dataclass(frozen=True)
class Split:
    """Inputs and labels for training and for testing."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def split(x: Tensor, y: Tensor, test: float = 0.25, seed: int = 0) -> Split:
    """A random split."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = len(x) - int(test * len(x))
    return Split(x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]])


def shuffled(count: int, size: int) -> Iterator[Tensor]:
    """Rows of every batch of an epoch."""
    yield from torch.randperm(count).split(size)


def descend(opt: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down a loss."""
    opt.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    opt.step()


def top1_accuracy(logits: Tensor, labels: Tensor) -> float:
    """The part of the labels that the largest logit hits."""
    return float((logits.argmax(1) == labels).float().mean())


def evaluate(run: Any, net: nn.Module, x: Tensor, y: Tensor) -> float:
    """One evaluation pass over a test set; the network is left in evaluation mode."""
    net.eval()
    with torch.no_grad():
        logits = net(x)
    run.evaluate(logits, y)
    return top1_accuracy(logits, y)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y, x


@cache
def shapes() -> Split:
    """Disk, ring, square, cross or triangle in any color, place and size, `(N, 3, 16, 16)` in [0, 1]."""
    draw = torch.Generator().manual_seed(301)
    count = 1000
    labels = torch.randint(0, 5, (count,), generator=draw)
    place = 0.5 * torch.rand(count, 2, 1, 1, generator=draw) - 0.25
    radius = 0.45 + 0.25 * torch.rand(count, 1, 1, generator=draw)
    y, x = _grid(16)
    y, x = y - place[:, 0], x - place[:, 1]
    far = (y**2 + x**2).sqrt()
    most = torch.maximum(y.abs(), x.abs())
    masks = torch.stack(
        [
            far < radius,
            (far < radius) & (far > 0.55 * radius),
            most < 0.85 * radius,
            (torch.minimum(y.abs(), x.abs()) < 0.2 * radius) & (most < radius),
            (y < 0.7 * radius) & (y > 2 * x.abs() - radius),
        ]
    )
    mask = masks[labels, torch.arange(count)].float()[:, None]
    ink, paper = torch.rand(2, count, 3, 1, 1, generator=draw)
    paper = torch.where((ink - paper).abs().mean(1, keepdim=True) < 0.3, 1 - ink.round(), paper)
    image = mask * ink + (1 - mask) * paper + 0.06 * torch.randn(count, 3, 16, 16, generator=draw)
    return split(image.clamp(0, 1), labels)


@cache
def digits() -> Split:
    """Scikit-learn's handwritten digits, `(N, 1, 8, 8)` in [0, 1]."""
    bunch: Any = datasets.load_digits()
    x = torch.from_numpy(bunch.images.astype(np.float32))[:, None] / 16
    return split(x, torch.from_numpy(bunch.target).long())


@cache
def tones() -> Split:
    """Sine, square, saw, chirp, burst and beat of any pitch and phase, `(N, 1, 96)` around 0."""
    draw = torch.Generator().manual_seed(302)
    count = 1200
    labels = torch.randint(0, 6, (count,), generator=draw)
    time = torch.linspace(0, 1, 96)
    pitch = 4 + 5 * torch.rand(count, 1, generator=draw)
    turn = pitch * time + torch.rand(count, 1, generator=draw)
    sine = torch.sin(2 * math.pi * turn)
    center = 0.3 + 0.4 * torch.rand(count, 1, generator=draw)
    waves = torch.stack(
        [
            sine,
            sine.sign(),
            2 * (turn % 1) - 1,
            torch.sin(2 * math.pi * (turn + 8 * time**2)),
            1.6 * sine * torch.exp(-(((time - center) / 0.12) ** 2)),
            sine * torch.sin(2 * math.pi * 2 * time + 6 * center),
        ]
    )
    wave = waves[labels, torch.arange(count)] + 0.3 * torch.randn(count, 96, generator=draw)
    return split(wave[:, None], labels)


@cache
def cancer() -> Split:
    """Scikit-learn's breast cancer table, `(569, 30)`, as measured (0.001 to 4,000)."""
    bunch: Any = datasets.load_breast_cancer()
    return split(torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long(), 0.3)


@cache
def wine() -> Split:
    """Scikit-learn's wine table, `(178, 13)`, standardized."""
    bunch: Any = datasets.load_wine()
    x = torch.from_numpy(bunch.data).float()
    return split((x - x.mean(0)) / x.std(0), torch.from_numpy(bunch.target).long(), 0.35)


@cache
def glyphs() -> Split:
    """Twelve random 7x7 signs, thick or thin, anywhere on noisy paper, `(N, 1, 14, 14)` in [0, 1]."""
    draw = torch.Generator().manual_seed(303)
    count = 1600
    signs = (torch.rand(12, 7, 7, generator=draw) < 0.42).float()
    labels = torch.randint(0, 12, (count,), generator=draw)
    image = 0.15 + 0.12 * torch.randn(count, 1, 14, 14, generator=draw)
    spots = torch.randint(2, 6, (count, 2), generator=draw).tolist()
    ink = 0.45 + 0.4 * torch.rand(count, generator=draw)
    for row, (top, left) in enumerate(spots):
        image[row, 0, top : top + 7, left : left + 7] += ink[row] * signs[labels[row]]
    return split(image.clamp(0, 1), labels)


@cache
def walks() -> Split:
    """Paths in space that turn left, turn right, oscillate or drift, `(N, 24, 3)`."""
    draw = torch.Generator().manual_seed(304)
    count = 800
    labels = torch.randint(0, 4, (count,), generator=draw)
    time = torch.arange(24.0)
    speed = 0.25 + 0.2 * torch.rand(count, 1, generator=draw)
    speed = speed * torch.tensor([1.0, -1.0, 1.0, 0.3])[labels][:, None]
    angle = speed * time + 6.28 * torch.rand(count, 1, generator=draw)
    path = torch.stack([angle.cos(), angle.sin(), 0.05 * time.expand(count, 24) - 0.6], 2)
    path[labels == 2, :, 1] = 0.0
    path[labels == 3, :, 2] *= 2.0
    return split(path + 0.35 * torch.randn(count, 24, 3, generator=draw), labels)


@cache
def weaves() -> Split:
    """Cloth: four directions of thread in one of two pairs of colors, `(N, 3, 20, 20)` in [0, 1]."""
    draw = torch.Generator().manual_seed(305)
    count = 1200
    labels = torch.randint(0, 8, (count,), generator=draw)
    y, x = _grid(20)
    angle = ((labels % 4) * math.pi / 4)[:, None, None] + 0.12 * torch.randn(count, 1, 1, generator=draw)
    phase = 6.28 * torch.rand(count, 1, 1, generator=draw)
    wave = torch.sin(17 * (angle.cos() * x + angle.sin() * y) + phase)[:, None]
    pair = torch.tensor([[0.5, -0.5, 0.0], [-0.5, 0.5, 0.0]])[labels // 4][:, :, None, None]
    base = 0.5 + 0.1 * torch.randn(count, 1, 1, 1, generator=draw)
    image = base + 0.3 * pair + 0.25 * wave + 0.14 * torch.randn(count, 3, 20, 20, generator=draw)
    return split(image.clamp(0, 1), labels)


@cache
def spirals() -> Split:
    """Three arms of a spiral, `(N, 2)`."""
    draw = torch.Generator().manual_seed(306)
    count = 900
    labels = torch.randint(0, 3, (count,), generator=draw)
    along = 0.15 + 0.85 * torch.rand(count, generator=draw)
    angle = 4.2 * along + 2 * math.pi / 3 * labels + 0.12 * torch.randn(count, generator=draw)
    return split(torch.stack([along * angle.cos(), along * angle.sin()], 1), labels)


@cache
def scents() -> Split:
    """Sensor readings of twenty substances at any concentration, `(N, 40)`."""
    draw = torch.Generator().manual_seed(307)
    count = 3000
    labels = torch.randint(0, 20, (count,), generator=draw)
    prints = torch.randn(20, 40, generator=draw).abs() ** 1.5
    strength = 0.5 + torch.rand(count, 1, generator=draw)
    x = (prints[labels] * strength + 0.1).log() + 1.5 * torch.randn(count, 40, generator=draw)
    return split((x - x.mean(0)) / x.std(0), labels)


@cache
def blooms() -> Split:
    """Flowers with three to eight petals, `(N, 1, 18, 18)`, standardized: six classes, a harder task."""
    draw = torch.Generator().manual_seed(308)
    count = 1500
    labels = torch.randint(0, 6, (count,), generator=draw)
    y, x = _grid(18)
    turn = 6.28 * torch.rand(count, 1, 1, generator=draw)
    reach = 0.6 + 0.2 * torch.rand(count, 1, 1, generator=draw)
    edge = reach * (1 + 0.35 * torch.cos((labels[:, None, None] + 3) * torch.atan2(y, x) + turn))
    image = torch.sigmoid(14 * (edge - (y**2 + x**2).sqrt()))
    image = image + 0.2 * torch.randn(count, 18, 18, generator=draw)
    return split(((image - image.mean()) / image.std())[:, None], labels)
