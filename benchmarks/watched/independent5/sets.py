"""Data sets of `independent-5`: eight made here, three of scikit-learn's; a part to learn, one to test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Inputs and labels in two parts."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int


def _split(x: Tensor, y: Tensor, part: float = 0.75) -> Split:
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(91))
    x, y = x[order], y[order]
    cut = int(part * len(y))
    return Split((x[:cut], y[:cut]), (x[cut:], y[cut:]), int(y.max()) + 1)


def _draw(seed: int, count: int, classes: int) -> tuple[torch.Generator, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return draw, torch.randint(0, classes, (count,), generator=draw)


@lru_cache
def numerals() -> Split:
    """Return scikit-learn's digits as images `(N, 1, 8, 8)` in [0, 1]."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    return _split(images, torch.tensor(found.target).long())


def _standard(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0)


@lru_cache
def irises(raw: bool = False) -> Split:
    """Return scikit-learn's irises, `(150, 4)`."""
    found: Any = load_iris()
    x = torch.tensor(found.data, dtype=torch.float32)
    return _split(x if raw else _standard(x), torch.tensor(found.target).long(), 0.6)


@lru_cache
def biopsies(raw: bool = False) -> Split:
    """Return scikit-learn's breast cancer table, `(569, 30)`, two classes."""
    found: Any = load_breast_cancer()
    x = torch.tensor(found.data, dtype=torch.float32)
    return _split(x if raw else _standard(x), torch.tensor(found.target).long())


@lru_cache
def waves(count: int = 1000) -> Split:
    """Return sines, squares, saws, chirps and pulses with noise, `(N, 1, 48)`."""
    draw, labels = _draw(11, count, 5)
    t = torch.linspace(0, 1, 48)[None] * (2 + 2 * torch.rand(count, 1, generator=draw))
    t = t + torch.rand(count, 1, generator=draw)
    sine = torch.sin(2 * math.pi * t)
    kinds = [sine, sine.sign(), 2 * (t % 1) - 1, torch.sin(5 * t * t), (t % 1 < 0.15) * 2.0 - 0.5]
    chosen = torch.stack(kinds, 1)[torch.arange(count), labels]
    return _split((chosen + 0.3 * torch.randn(count, 48, generator=draw))[:, None], labels)


@lru_cache
def reviews(count: int = 1200) -> Split:
    """Return sequences of 16 of 60 words, some of which speak for one of four classes, `(N, 16)`."""
    draw, labels = _draw(12, count, 4)
    words = torch.randint(20, 60, (count, 16), generator=draw)
    telling = labels[:, None] * 5 + torch.randint(0, 5, (count, 16), generator=draw)
    other = torch.randint(0, 20, (count, 16), generator=draw)
    choice = torch.rand(count, 16, generator=draw)
    words = torch.where(choice < 0.3, telling, torch.where(choice < 0.45, other, words))
    return _split(words, labels)


@lru_cache
def signs(count: int = 900) -> Split:
    """Return a plus, cross, frame, disc or bar at some place of `(N, 1, 16, 16)`, in [0, 1]."""
    draw, labels = _draw(13, count, 5)
    y, x = torch.meshgrid(torch.arange(7.0) - 3, torch.arange(7.0) - 3, indexing="ij")
    far = torch.maximum(x.abs(), y.abs())
    masks = [(x == 0) | (y == 0), x.abs() == y.abs(), far == 3, x**2 + y**2 < 6, x.abs() < 2]
    images = 0.1 * torch.rand(count, 1, 16, 16, generator=draw)
    places = torch.randint(3, 7, (count, 2), generator=draw).tolist()
    for row, (label, (top, left)) in enumerate(zip(labels.tolist(), places, strict=True)):
        images[row, 0, top : top + 7, left : left + 7] += 0.6 * masks[label]
    noise = 0.08 * torch.randn(count, 1, 16, 16, generator=draw)
    return _split((images + noise).clamp(0, 1), labels)


@lru_cache
def flags(count: int = 900, spread: float = 0.25) -> Split:
    """Return three bands in one of six orders of color, upright or not, `(N, 3, 12, 12)` in [0, 1]."""
    draw, labels = _draw(14, count, 6)
    orders = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    bands = torch.eye(3)[orders[labels]].repeat_interleave(4, 1).transpose(1, 2)
    images = 0.3 + 0.4 * bands[:, :, :, None].expand(-1, -1, -1, 12)
    return _split((images + spread * torch.randn(count, 3, 12, 12, generator=draw)).clamp(0, 1), labels)


@lru_cache
def sensors(count: int = 1000, raw: bool = False) -> Split:
    """Return twelve readings of five machines' states, each in a unit of its own if raw."""
    draw, labels = _draw(15, count, 5)
    means = 1.1 * torch.randn(5, 2, 12, generator=draw)
    mode = torch.randint(0, 2, (count,), generator=draw)
    x = means[labels, mode] + torch.randn(count, 12, generator=draw)
    units = torch.tensor([900.0, 0.01, 40, 3, 250, 1, 7000, 0.2, 15, 90, 0.05, 500])
    return _split(x * units + 3 * units if raw else x, labels)


@lru_cache
def rings(count: int = 800) -> Split:
    """Return points inside, on or around a circle, `(N, 2)`, as two classes."""
    draw, labels = _draw(16, count, 2)
    angle = 6.283 * torch.rand(count, generator=draw)
    radius = torch.where(labels == 1, 1.0, torch.rand(count, generator=draw).round() * 1.4 + 0.3)
    radius = radius + 0.1 * torch.randn(count, generator=draw)
    return _split(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels)


@lru_cache
def votes(count: int = 900) -> Split:
    """Return 24 answers of yes or no; two classes by which of two questions' groups has more."""
    draw = torch.Generator().manual_seed(17)
    x = torch.randint(0, 2, (count, 24), generator=draw).float() * 2 - 1
    y = (x[:, :9].sum(1) + 0.5 * x[:, 9] * x[:, 10] > x[:, 12:21].sum(1)).long()
    return _split(x, y)


@lru_cache
def textures(count: int = 800) -> Split:
    """Return checks, dots, ribs, slopes, `(N, 3, 14, 14)`, standardized, of random color."""
    draw, labels = _draw(18, count, 4)
    y, x = torch.meshgrid(torch.arange(14), torch.arange(14), indexing="ij")
    kinds = [(x // 2 + y // 2) % 2, ((x % 3 == 0) & (y % 3 == 0)) * 1, (x // 2) % 2, ((x + y) // 3) % 2]
    pattern = torch.stack(kinds).float()[labels][:, None]
    color = torch.rand(count, 3, 1, 1, generator=draw)
    images = color * pattern + 0.45 * torch.randn(count, 3, 14, 14, generator=draw)
    return _split((images - images.mean()) / images.std(), labels)
