"""Images that the bench draws itself, by arithmetic: the same ones each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets.spec import Labels, Pixels

CLASSES = 10


def pixels(values: NDArray[np.float64]) -> Pixels:
    """Rounded, and cut off at 0 and 255."""
    return values.round().clip(0, 255).astype(np.uint8)


def gratings(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Colored, of 16×16; the class is which way they run."""
    random, side = np.random.default_rng(seed), 16
    labels = random.integers(0, CLASSES, count)
    angle = np.pi * (labels + random.uniform(-0.3, 0.3, count)) / CLASSES
    y, x = np.mgrid[:side, :side]
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    cycles = random.uniform(0.12, 0.25, count)[:, None, None]
    wave = np.sin(2 * np.pi * (cycles * along + random.uniform(0, 1, count)[:, None, None]))
    colour = random.uniform(-60, 60, (count, 3, 1, 1))
    noise = random.normal(0, 25, (count, 3, side, side))
    return pixels(random.uniform(80, 170, (count, 3, 1, 1)) + colour * wave[:, None] + noise), labels


def glyphs(count: int, seed: int) -> tuple[Pixels, Labels]:
    """One of ten figures of 7×7 dots anywhere on 12×12."""
    figures = np.random.default_rng(3).integers(0, 2, (CLASSES, 1, 7, 7)) * 255
    labels = np.random.default_rng((9, seed)).integers(0, CLASSES, count)
    return painted(figures[labels].astype(np.uint8), 12, seed, noise=20)[:, :1], labels


def clocks(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A hand from the middle of 12×12 that points in one of ten directions."""
    random = np.random.default_rng((5, seed))
    y, x = np.mgrid[:12, :12] - 5.5
    labels = random.integers(0, CLASSES, count)
    angle = (2 * np.pi * (labels + random.uniform(-0.4, 0.4, count)) / CLASSES)[:, None, None]
    along, beside = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    hand = (along > 0) & (along < random.uniform(4, 6, (count, 1, 1))) & (np.abs(beside) < 0.9)
    return pixels(40 + 150 * hand + random.normal(0, 30, hand.shape))[:, None], labels


def tiles(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Colored, of 14×14: one of ten patterns of 4×4, again and again."""
    random, side = np.random.default_rng((6, seed)), 14
    patterns = np.random.default_rng(8).uniform(-1, 1, (CLASSES, 4, 4))
    labels, corner = random.integers(0, CLASSES, count), random.integers(0, 4, (count, 2))
    rows = (corner[:, :1] + np.arange(side)) % 4
    columns = (corner[:, 1:] + np.arange(side)) % 4
    laid = patterns[labels[:, None, None], rows[:, :, None], columns[:, None, :]]
    colour = random.uniform(20, 60, (count, 3, 1, 1))
    noise = random.normal(0, 30, (count, 3, side, side))
    return pixels(random.uniform(90, 160, (count, 3, 1, 1)) + colour * laid[:, None] + noise), labels


def halos(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A ring anywhere on 13×13, of one of five radii, lighter or darker than its ground."""
    random, side = np.random.default_rng((7, seed)), 13
    labels = random.integers(0, CLASSES, count)
    radius = (1.0 + 0.9 * (labels % 5) + random.uniform(-0.15, 0.15, count))[:, None, None]
    centre = random.uniform(4.5, side - 5.5, (2, count, 1, 1))
    y, x = np.mgrid[:side, :side]
    away = np.abs(np.hypot(y - centre[0], x - centre[1]) - radius)
    sign = np.where(labels < 5, 1, -1)[:, None, None] * random.uniform(50, 90, (count, 1, 1))
    ground = random.uniform(100, 150, (count, 1, 1))
    made = ground + sign * (away < 0.7) + random.normal(0, 18, (count, side, side))
    return pixels(made)[:, None], labels


def pairs(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A large disc and a small one on 14×14, colored; the class is the direction from one to the other."""
    random, side = np.random.default_rng((10, seed)), 14
    labels = random.integers(0, CLASSES, count)
    angle = 2 * np.pi * (labels + random.uniform(-0.3, 0.3, count)) / CLASSES
    large = side / 2 - 0.5 + random.uniform(-1.5, 1.5, (2, count))
    small = large + random.uniform(3.8, 4.6, count) * np.stack([np.sin(angle), np.cos(angle)])
    y, x = np.mgrid[:side, :side]
    discs = [
        np.hypot(y - at[0][:, None, None], x - at[1][:, None, None]) < radius
        for at, radius in ((large, 2.3), (small, 1.2))
    ]
    ink = random.uniform(40, 110, (count, 3, 1, 1))
    noise = random.normal(0, 20, (count, 3, side, side))
    ground = random.uniform(30, 110, (count, 3, 1, 1))
    return pixels(ground + ink * (discs[0] | discs[1])[:, None] + noise), labels


def painted(images: Pixels, side: int, seed: int, noise: float = 12) -> Pixels:
    """Gray images `(N, 1, h, w)` as masks of ink, anywhere on a ground of `side`×`side`."""
    random, (count, _, height, width) = np.random.default_rng((4, seed)), images.shape
    mask = np.zeros((count, 1, side, side))
    top, left = random.integers(0, side - height + 1, count), random.integers(0, side - width + 1, count)
    for number, image in enumerate(images):
        rows, columns = top[number] + np.arange(height), left[number] + np.arange(width)
        mask[number, 0, rows[:, None], columns] = image[0] / 255
    ground = random.uniform(10, 70, (count, 3, 1, 1))
    ink = random.uniform(110, 250, (count, 3, 1, 1))
    return pixels(ground + (ink - ground) * mask + random.normal(0, noise, (count, 3, side, side)))
