"""Data of `independent-4`: made in milliseconds, or scikit-learn's changed until they are others.

Each function gives inputs and labels to learn from, and inputs and labels to judge by.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_moons,
)
from torch import Tensor
from torch.nn import functional

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def _cut(inputs: Tensor, labels: Tensor, count: int) -> Parts:
    return inputs[:count], labels[:count], inputs[count:], labels[count:]


def _turned(images: Tensor, degrees: float, draw: torch.Generator) -> Tensor:
    angle = (torch.rand(len(images), generator=draw) * 2 - 1) * degrees * math.pi / 180
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    affine = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


@cache
def turned_digits() -> Parts:
    """Digits turned by up to 20 degrees, with noise, `(N, 1, 8, 8)` in [0, 1]."""
    draw = torch.Generator().manual_seed(101)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=draw)
    pictures = torch.tensor(images, dtype=torch.float32)[order].view(-1, 1, 8, 8) / 16
    pictures = _turned(pictures, 20, draw)
    pictures = (pictures + 0.05 * torch.randn(pictures.shape, generator=draw)).clamp(0, 1)
    return _cut(pictures, torch.tensor(labels)[order], 1200)


@cache
def digit_pairs() -> Parts:
    """Two digits side by side, `(N, 1, 8, 16)`; 1 where the right one is the larger."""
    draw = torch.Generator().manual_seed(102)
    images, labels, test_images, test_labels = turned_digits()

    def pairs(pictures: Tensor, numbers: Tensor, count: int) -> tuple[Tensor, Tensor]:
        one, two = torch.randint(0, len(pictures), (2, count), generator=draw)
        two = torch.where(numbers[one] == numbers[two], (two + 7) % len(pictures), two)
        return torch.cat([pictures[one], pictures[two]], 3), (numbers[two] > numbers[one]).long()

    return *pairs(images, labels, 2400), *pairs(test_images, test_labels, 600)


@cache
def tumours() -> Parts:
    """Breast cancer's rows in their own units, every one with noise of a tenth of its spread, `(N, 30)`."""
    draw = torch.Generator().manual_seed(103)
    rows, labels = load_breast_cancer(return_X_y=True)
    table = torch.tensor(rows, dtype=torch.float32)
    order = torch.randperm(len(labels), generator=draw)
    table = table[order] + 0.3 * table.std(0) * torch.randn(table.shape, generator=draw)
    return _cut(table, torch.tensor(labels)[order], 380)


@cache
def cultivars() -> Parts:
    """Wines drawn around those of scikit-learn, in their own units, `(N, 13)`, three classes."""
    draw = torch.Generator().manual_seed(104)
    rows, labels = load_wine(return_X_y=True)
    table, kinds = torch.tensor(rows, dtype=torch.float32), torch.tensor(labels)
    chosen = torch.randint(0, 3, (1100,), generator=draw)
    wines = torch.empty(1100, 13)
    for kind in range(3):
        own = table[kinds == kind]
        spread = torch.linalg.cholesky(own.T.cov() + 1e-4 * torch.eye(13))
        at = chosen == kind
        noise = torch.randn(int(at.sum()), 13, generator=draw)
        wines[at] = own.mean(0) + 1.5 * noise @ spread.T
    return _cut(wines, chosen, 700)


@cache
def wide_iris() -> Parts:
    """Flowers drawn around iris's with twice the spread, so that kinds overlap, `(N, 4)`, three classes."""
    draw = torch.Generator().manual_seed(105)
    rows, labels = load_iris(return_X_y=True)
    table, kinds = torch.tensor(rows, dtype=torch.float32), torch.tensor(labels)
    chosen = torch.randint(0, 3, (1500,), generator=draw)
    centers = torch.stack([table[kinds == k].mean(0) for k in range(3)])
    widths = torch.stack([table[kinds == k].std(0) for k in range(3)])
    flowers = centers[chosen] + 2.2 * widths[chosen] * torch.randn(1500, 4, generator=draw)
    return _cut((flowers - flowers.mean(0)) / flowers.std(0), chosen, 900)


@cache
def moons() -> Parts:
    """Two moons turned into ten dimensions, eight of them noise, `(N, 10)`, binary."""
    draw = torch.Generator().manual_seed(106)
    points, labels = make_moons(1500, noise=0.15, random_state=6)
    flat = torch.cat([torch.tensor(points).float() * 1.5, 0.6 * torch.randn(1500, 8, generator=draw)], 1)
    turn, _ = torch.linalg.qr(torch.randn(10, 10, generator=draw))
    return _cut(flat @ turn, torch.tensor(labels), 900)


@cache
def clusters() -> Parts:
    """scikit-learn's `make_classification`: two clusters a class, `(N, 16)`, four classes."""
    rows, labels = make_classification(
        2000, 16, n_informative=8, n_redundant=4, n_classes=4, n_clusters_per_class=2, class_sep=1.6,
        random_state=17,
    )  # fmt: skip
    table = torch.tensor(rows, dtype=torch.float32)
    return _cut((table - table[:1200].mean(0)) / table[:1200].std(0), torch.tensor(labels), 1200)


@cache
def spirals() -> Parts:
    """Three arms of a spiral, `(N, 2)`."""
    draw = torch.Generator().manual_seed(107)
    labels = torch.randint(0, 3, (1500,), generator=draw)
    radius = 0.15 + 0.85 * torch.rand(1500, generator=draw)
    angle = 4.2 * radius + labels * 2 * math.pi / 3 + 0.18 * torch.randn(1500, generator=draw)
    return _cut(2 * torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels, 900)


@cache
def sounds() -> Parts:
    """Rising, falling, steady, trembling and ticking tones with noise, `(N, 1, 64)`."""
    draw = torch.Generator().manual_seed(108)
    count = 1500
    labels = torch.randint(0, 5, (count,), generator=draw)
    t = torch.linspace(0, 1, 64)
    base = 5 + 4 * torch.rand(count, 1, generator=draw)
    phase = 6.28 * torch.rand(count, 1, generator=draw)
    rising = torch.sin(6.28 * (base * t + 4 * t * t) + phase)
    falling = torch.sin(6.28 * ((base + 8) * t - 4 * t * t) + phase)
    steady = torch.sin(6.28 * (base + 4) * t + phase)
    trembling = steady * (0.5 + 0.5 * torch.sin(6.28 * 3 * t + phase))
    ticking = 2 * (torch.sin(6.28 * base / 2 * t + phase) > 0.9).float() - 0.3
    tones = torch.stack([rising, falling, steady, trembling, ticking], 1)[torch.arange(count), labels]
    return _cut((tones + 0.5 * torch.randn(count, 64, generator=draw))[:, None], labels, 900)


@cache
def heartbeats() -> Parts:
    """Trains of beats, `(N, 1, 96)`; 1 where one beat comes early."""
    draw = torch.Generator().manual_seed(109)
    count = 1500
    labels = torch.randint(0, 2, (count,), generator=draw)
    signal = torch.zeros(count, 96)
    t = torch.arange(96.0)
    start = 4 + 10 * torch.rand(count, generator=draw)
    early = torch.randint(2, 5, (count,), generator=draw)
    for beat in range(6):
        shift = 7.0 * ((early == beat) & (labels == 1))
        at = start + 16 * beat - shift
        signal += torch.exp(-(((t - at[:, None]) / 1.5) ** 2))
        signal -= 0.4 * torch.exp(-(((t - at[:, None] - 4) / 2.0) ** 2))
    signal += 0.15 * torch.randn(count, 96, generator=draw)
    return _cut(signal[:, None], labels, 1000)


@cache
def shapes() -> Parts:
    """A disc, ring, cross, square or triangle, bright on dark, `(N, 3, 16, 16)` in [0, 1]."""
    draw = torch.Generator().manual_seed(110)
    count = 1400
    labels = torch.randint(0, 5, (count,), generator=draw)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    middle = 6.5 + 2.5 * torch.rand(count, 2, generator=draw)
    size = (4.2 + 1.4 * torch.rand(count, generator=draw))[:, None, None]
    dx, dy = x - middle[:, 0, None, None], y - middle[:, 1, None, None]
    away = (dx**2 + dy**2).sqrt()
    masks = torch.stack([
        away < size,
        (away < size) & (away > size - 2.2),
        ((dx.abs() < 1.1) | (dy.abs() < 1.1)) & (dx.abs() < size) & (dy.abs() < size),
        (dx.abs() < size * 0.85) & (dy.abs() < size * 0.85),
        (dy < size * 0.8) & (dy > 2 * dx.abs() - size),
    ], 1)[torch.arange(count), labels]  # fmt: skip
    front, back = torch.rand(2, count, 3, 1, 1, generator=draw)
    front, back = 0.5 + 0.5 * front, 0.45 * back
    images = torch.where(masks[:, None], front, back) + 0.08 * torch.randn(count, 3, 16, 16, generator=draw)
    return _cut(images.clamp(0, 1), labels, 900)


@cache
def leaves() -> Parts:
    """Speckle in four hues that are equally bright, `(N, 3, 12, 12)` in [0, 1]."""
    draw = torch.Generator().manual_seed(111)
    labels = torch.randint(0, 4, (1200,), generator=draw)
    gray = torch.tensor([0.299, 0.587, 0.114])
    hues = torch.tensor([[0.3, -0.1, 0.0], [-0.3, 0.1, 0.0], [0.0, -0.05, 0.3], [0.1, 0.05, -0.3]])
    hues = hues - (hues @ gray)[:, None] / (gray @ gray) * gray
    speckle = 0.45 + 0.15 * torch.randn(1200, 1, 12, 12, generator=draw)
    images = (
        speckle + 0.5 * hues[labels][:, :, None, None] + 0.12 * torch.randn(1200, 3, 12, 12, generator=draw)
    )
    return _cut(images.clamp(0, 1), labels, 800)


@cache
def weaves() -> Parts:
    """Six kinds of cloth: three directions, fine or coarse, `(N, 1, 20, 20)` with bytes 0 to 255."""
    draw = torch.Generator().manual_seed(112)
    count = 1300
    labels = torch.randint(0, 6, (count,), generator=draw)
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    angle = (labels % 3) * math.pi / 3 + 0.12 * torch.randn(count, generator=draw)
    pitch = torch.where(labels < 3, 0.9, 1.5) + 0.06 * torch.randn(count, generator=draw)
    along = angle.cos()[:, None, None] * x + angle.sin()[:, None, None] * y
    wave = torch.sin(pitch[:, None, None] * along + 6.28 * torch.rand(count, 1, 1, generator=draw))
    cloth = 128 + 60 * wave + 45 * torch.randn(count, 20, 20, generator=draw)
    return _cut(cloth.clamp(0, 255).round()[:, None], labels, 900)


@cache
def rare_spots() -> Parts:
    """Nothing (86 %), a bright spot (9 %) or a faint pair (5 %), `(N, 1, 12, 12)`; judged in equal parts."""
    draw = torch.Generator().manual_seed(113)

    def draw_part(labels: Tensor) -> tuple[Tensor, Tensor]:
        images = 0.6 * torch.randn(len(labels), 1, 12, 12, generator=draw)
        for row, label in enumerate(labels.tolist()):
            for _ in range(label):
                top, left = torch.randint(0, 10, (2,), generator=draw).tolist()
                images[row, 0, top : top + 3, left : left + 3] += 1.5 if label == 1 else 1.2
        return images, labels

    kinds = torch.multinomial(torch.tensor([0.86, 0.09, 0.05]), 1500, replacement=True, generator=draw)
    return *draw_part(kinds), *draw_part(torch.arange(600) % 3)


@cache
def walkers() -> Parts:
    """Paths of 24 points: a circle, a line, a zigzag, a stroll, `(N, 24, 2)`."""
    draw = torch.Generator().manual_seed(114)
    count = 1200
    labels = torch.randint(0, 4, (count,), generator=draw)
    t = torch.linspace(0, 1, 24)
    phase = 6.28 * torch.rand(count, 1, generator=draw)
    speed = 0.8 + 0.4 * torch.rand(count, 1, generator=draw)
    circle = torch.stack([(6.28 * speed * t + phase).cos(), (6.28 * speed * t + phase).sin()], 2)
    line = torch.stack([2 * (t - 0.5) * phase.cos(), 2 * (t - 0.5) * phase.sin()], 2)
    side = 0.5 * torch.sin(25 * speed * t)
    zigzag = line + torch.stack([-side * phase.sin(), side * phase.cos()], 2)
    stroll = 0.3 * torch.randn(count, 24, 2, generator=draw).cumsum(1)
    paths = torch.stack([circle, line, zigzag, stroll], 1)[torch.arange(count), labels]
    return _cut(paths + 0.12 * torch.randn(count, 24, 2, generator=draw), labels, 800)


@cache
def orders() -> Parts:
    """Strings of 14 of 20 tokens; the class says which of the tokens 1, 2, 3 comes first, `(N, 14)`."""
    draw = torch.Generator().manual_seed(115)
    tokens = torch.randint(4, 20, (2200, 14), generator=draw)
    first = torch.randint(0, 3, (2200,), generator=draw)
    places = torch.rand(2200, 14, generator=draw).argsort(1)[:, :3].sort(1).values
    row = torch.arange(2200)
    tokens[row, places[:, 0]] = first + 1
    tokens[row, places[:, 1]] = (first + 1) % 3 + 1
    tokens[row, places[:, 2]] = (first + 2) % 3 + 1
    return _cut(tokens, first, 1600)
