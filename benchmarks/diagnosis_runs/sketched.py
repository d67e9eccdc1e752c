"""More images that the bench draws itself, for its sixth to tenth blind parts: the same ones each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.diagnosis_runs.drawn import CLASSES, painted, pixels
from cnnviz.datasets.spec import Labels, Pixels

_LETTERS = (
    ("01110", "10001", "11111", "10001", "10001"),
    ("11110", "10001", "11110", "10001", "11110"),
    ("01111", "10000", "10000", "10000", "01111"),
    ("11111", "10000", "11110", "10000", "11111"),
    ("10001", "10001", "11111", "10001", "10001"),
    ("10001", "10010", "11100", "10010", "10001"),
    ("10000", "10000", "10000", "10000", "11111"),
    ("11111", "00100", "00100", "00100", "00100"),
    ("10001", "01010", "00100", "01010", "10001"),
    ("11111", "00010", "00100", "01000", "11111"),
)
"""A, B, C, E, H, K, L, T, X and Z in 5×5 dots."""


def letters(count: int, seed: int) -> tuple[Pixels, Labels]:
    """One of ten letters, twice as large as its dots, anywhere on 14×14, gray with noise."""
    shapes = np.array([[[float(dot) for dot in row] for row in letter] for letter in _LETTERS])
    large = shapes.repeat(2, axis=1).repeat(2, axis=2)[:, None] * 255
    labels = np.random.default_rng((21, seed)).integers(0, CLASSES, count)
    return painted(large[labels].astype(np.uint8), 14, seed + 40, noise=22)[:, :1], labels


def arrows(count: int, seed: int) -> tuple[Pixels, Labels]:
    """An arrow on 12×12, colored, that points in one of ten directions."""
    random, side = np.random.default_rng((22, seed)), 12
    labels = random.integers(0, CLASSES, count)
    angle = (2 * np.pi * (labels + random.uniform(-0.3, 0.3, count)) / CLASSES)[:, None, None]
    center = (side - 1) / 2 + random.uniform(-1, 1, (2, count, 1, 1))
    y, x = np.mgrid[:side, :side]
    along = np.cos(angle) * (x - center[1]) + np.sin(angle) * (y - center[0])
    beside = np.abs(np.cos(angle) * (y - center[0]) - np.sin(angle) * (x - center[1]))
    shaft = (np.abs(along) < 3.5) & (beside < 0.8)
    head = (along > 0.5) & (along < 4.5) & (beside < (4.5 - along) * 0.8)
    ink = random.uniform(50, 120, (count, 3, 1, 1))
    ground = random.uniform(20, 110, (count, 3, 1, 1))
    noise = random.normal(0, 22, (count, 3, side, side))
    return pixels(ground + ink * (shaft | head)[:, None] + noise), labels


def constellations(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Four soft spots on 12×12, in one of ten arrangements, each moved a little."""
    random, side = np.random.default_rng((23, seed)), 12
    places = np.random.default_rng(24).uniform(1.5, side - 2.5, (CLASSES, 4, 2))
    labels = random.integers(0, CLASSES, count)
    at = places[labels] + random.normal(0, 0.5, (count, 4, 2)) + random.uniform(-1, 1, (count, 1, 2))
    y, x = np.mgrid[:side, :side]
    away = (y - at[:, :, 0, None, None]) ** 2 + (x - at[:, :, 1, None, None]) ** 2
    light = np.exp(-away / 1.6).sum(1)
    made = 30 + random.uniform(90, 170, (count, 1, 1)) * light + random.normal(0, 18, light.shape)
    return pixels(made)[:, None], labels


def checks(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A colored pattern of 12×12: checks or stripes, fine to coarse, ten kinds."""
    random, side = np.random.default_rng((25, seed)), 12
    labels = random.integers(0, CLASSES, count)
    size = (1 + labels % 5 * 0.75 + random.uniform(-0.1, 0.1, count))[:, None, None]
    y, x = np.mgrid[:side, :side]
    start = random.uniform(0, 8, (2, count, 1, 1))
    rows, columns = np.floor((y + start[0]) / size), np.floor((x + start[1]) / size)
    pattern = np.where((labels < 5)[:, None, None], rows + columns, rows) % 2
    colour = random.uniform(40, 110, (count, 3, 1, 1))
    noise = random.normal(0, 24, (count, 3, side, side))
    return pixels(random.uniform(40, 120, (count, 3, 1, 1)) + colour * pattern[:, None] + noise), labels


def flocks(count: int, seed: int) -> tuple[Pixels, Labels]:
    """One to ten dots on 14×14: the class is how many. Hard: neighbors differ by one dot, and dots touch."""
    random, side = np.random.default_rng((26, seed)), 14
    labels = random.integers(0, CLASSES, count)
    made = np.full((count, side, side), 40.0)
    for image, label in zip(made, labels, strict=True):
        corners = random.permutation((side // 2) ** 2)[: label + 1]
        image[2 * (corners // (side // 2)), 2 * (corners % (side // 2))] += random.uniform(110, 160)
    return pixels(made + random.normal(0, 12, made.shape))[:, None], labels


def fog(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Ten patterns of 10×10 under so much noise that nobody can tell each of them: some eight in ten."""
    random = np.random.default_rng((27, seed))
    patterns = np.random.default_rng(28).normal(0, 1, (CLASSES, 1, 10, 10))
    labels = random.integers(0, CLASSES, count)
    noise: NDArray[np.float64] = random.normal(0, 2.8, (count, 1, 10, 10))
    return pixels(128 + 24 * (patterns[labels] + noise)), labels


def flags(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Two bands of color on 10×10, in ten combinations, with little noise: forty images teach it."""
    random, side = np.random.default_rng((29, seed)), 10
    hues = np.random.default_rng(30).uniform(30, 225, (CLASSES, 2, 3))
    labels = random.integers(0, CLASSES, count)
    upper = np.arange(side)[None, :] < random.integers(4, 7, count)[:, None]
    bands = np.where(upper[:, None, :, None], hues[labels, 0, :, None, None], hues[labels, 1, :, None, None])
    made = np.broadcast_to(bands, (count, 3, side, side)) + random.normal(0, 12, (count, 3, side, side))
    return pixels(made), labels


_RUNES = np.random.default_rng(31).uniform(1.5, 9.5, (CLASSES, 3, 2, 2))
"""Three strokes each, from and to where, on 11×11."""


def runes(count: int, seed: int) -> tuple[Pixels, Labels]:
    """One of ten figures of three strokes, on 13×13, dark on light; each end moves a little."""
    random, side = np.random.default_rng((32, seed)), 13
    labels = random.integers(0, CLASSES, count)
    ends = _RUNES[labels] + random.normal(0, 0.35, (count, 3, 2, 2)) + random.uniform(0, 2, (count, 1, 1, 2))
    y, x = np.mgrid[:side, :side]
    ink = np.zeros((count, side, side))
    for part in np.linspace(0, 1, 12):
        at = (1 - part) * ends[:, :, 0] + part * ends[:, :, 1]
        away = (y - at[:, :, 0, None, None]) ** 2 + (x - at[:, :, 1, None, None]) ** 2
        ink = np.maximum(ink, np.exp(-away / 0.7).max(1))
    made = 215 - random.uniform(110, 170, (count, 1, 1)) * ink + random.normal(0, 20, ink.shape)
    return pixels(made)[:, None], labels


def ripples(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Colored waves on 14×14 from a point anywhere: round or straight, in five lengths, ten kinds."""
    random, side = np.random.default_rng((33, seed)), 14
    labels = random.integers(0, CLASSES, count)
    y, x = np.mgrid[:side, :side]
    start = random.uniform(2, side - 2, (2, count, 1, 1))
    away = np.hypot(y - start[0], x - start[1])
    angle = random.uniform(0, np.pi, (count, 1, 1))
    along = np.cos(angle) * x + np.sin(angle) * y + start[0]
    length = (2.4 + labels % 5 * 1.1 + random.uniform(-0.15, 0.15, count))[:, None, None]
    wave = np.sin(2 * np.pi * np.where((labels < 5)[:, None, None], away, along) / length)
    colour = random.uniform(25, 70, (count, 3, 1, 1))
    noise = random.normal(0, 20, (count, 3, side, side))
    return pixels(random.uniform(80, 170, (count, 3, 1, 1)) + colour * wave[:, None] + noise), labels


def tokens(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A disc, square, cross, ring or bar about in the middle of 12×12, light on dark or dark on light."""
    random, side = np.random.default_rng((34, seed)), 12
    labels = random.integers(0, CLASSES, count)
    at = (side - 1) / 2 + random.uniform(-0.7, 0.7, (2, count, 1, 1))
    y, x = np.mgrid[:side, :side]
    down, across = np.abs(y - at[0]), np.abs(x - at[1])
    away = np.hypot(down, across)
    size = random.uniform(2.8, 3.6, (count, 1, 1))
    forms = np.stack([
        away < size,
        np.maximum(down, across) < size * 0.85,
        (np.minimum(down, across) < 1.1) & (np.maximum(down, across) < size),
        np.abs(away - size) < 0.9,
        (down < 1.3) & (across < size + 1),
    ])  # fmt: skip
    form = forms[labels % 5, np.arange(count)]
    sign = np.where(labels < 5, 1, -1)[:, None, None] * random.uniform(45, 85, (count, 1, 1))
    made = random.uniform(105, 150, (count, 1, 1)) + sign * form + random.normal(0, 10, form.shape)
    return pixels(made)[:, None], labels


def weaves(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Colored cloth of 12×12: threads across and down, each of a width, in ten combinations."""
    random, side = np.random.default_rng((35, seed)), 12
    labels = random.integers(0, CLASSES, count)
    widths = np.array([(a, b) for a in (2.0, 3.2, 5.0, 7.5) for b in (2.0, 3.2, 5.0, 7.5) if a <= b])
    across, down = (widths[labels] * random.uniform(0.95, 1.05, (count, 2)))[:, :, None, None].swapaxes(0, 1)
    y, x = np.mgrid[:side, :side]
    start = random.uniform(0, 2 * np.pi, (2, count, 1, 1))
    cloth = np.sin(2 * np.pi * x / across + start[0]) + np.sin(2 * np.pi * y / down + start[1])
    colour = random.uniform(30, 60, (count, 3, 1, 1))
    noise = random.normal(0, 8, (count, 3, side, side))
    return pixels(random.uniform(90, 160, (count, 3, 1, 1)) + colour * cloth[:, None] + noise), labels


def cards(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Four fields of color on 10×10, in ten combinations, with little noise: forty images teach it."""
    random, side = np.random.default_rng((36, seed)), 10
    hues = np.random.default_rng(37).uniform(40, 215, (CLASSES, 3, 2, 2))
    labels = random.integers(0, CLASSES, count)
    made = hues[labels].repeat(side // 2, axis=2).repeat(side // 2, axis=3)
    light = random.uniform(-20, 20, (count, 1, 1, 1))
    return pixels(made + light + random.normal(0, 15, made.shape)), labels


def dials(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A soft spot on a circle on 12×12 that strays over its class's bounds: nobody can know more than 3 of 4.

    It lies within its tenth of the circle with the chance that a normal variate is below 1.11 in size, 73 %.
    """
    random, side = np.random.default_rng((38, seed)), 12
    labels = random.integers(0, CLASSES, count)
    angle = 2 * np.pi * (labels + 0.45 * random.normal(0, 1, count)) / CLASSES
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    away = (y - 4 * np.sin(angle)[:, None, None]) ** 2 + (x - 4 * np.cos(angle)[:, None, None]) ** 2
    made = 40 + random.uniform(110, 180, (count, 1, 1)) * np.exp(-away / 1.5)
    return pixels(made + random.normal(0, 10, made.shape))[:, None], labels


def lamps(count: int, seed: int, failing: float = 0.08) -> tuple[Pixels, Labels]:
    """Sixteen lamps in a square on 12×12, in one of ten patterns; each lamp is wrong now and then."""
    random = np.random.default_rng((39, seed))
    patterns = np.random.default_rng(40).integers(0, 2, (CLASSES, 4, 4))
    labels = random.integers(0, CLASSES, count)
    lit = patterns[labels] ^ (random.random((count, 4, 4)) < failing)
    lamp = np.array([[0.5, 0.8, 0.5], [0.8, 1.0, 0.8], [0.5, 0.8, 0.5]])
    light = np.kron(lit, lamp[None]) * random.uniform(110, 190, (count, 1, 1))
    return pixels(35 + light + random.normal(0, 22, light.shape))[:, None], labels


def signals(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Lamps of which every fifth is wrong: nobody can tell all of the patterns from each other."""
    return lamps(count, seed + 50, failing=0.2)


def maps(count: int, seed: int) -> tuple[Pixels, Labels]:
    """Colored hills on 12×12, one of ten landscapes of four hills and hollows, seen from a pixel beside."""
    random, side = np.random.default_rng((47, seed)), 12
    fixed = np.random.default_rng(48)
    places = fixed.uniform(1.5, side - 2.5, (CLASSES, 4, 2))
    heights = fixed.choice([-1.0, 1.0], (CLASSES, 4)) * fixed.uniform(0.7, 1.2, (CLASSES, 4))
    labels = random.integers(0, CLASSES, count)
    at = places[labels] + random.uniform(-1, 1, (count, 1, 2))
    y, x = np.mgrid[:side, :side]
    away = (y - at[:, :, 0, None, None]) ** 2 + (x - at[:, :, 1, None, None]) ** 2
    land = (heights[labels][:, :, None, None] * np.exp(-away / 5)).sum(1)
    colour = random.uniform(30, 75, (count, 3, 1, 1))
    noise = random.normal(0, 18, (count, 3, side, side))
    return pixels(random.uniform(95, 150, (count, 3, 1, 1)) + colour * land[:, None] + noise), labels


def buttons(count: int, seed: int) -> tuple[Pixels, Labels]:
    """A disc of one color on another, on 10×10, in ten combinations, with little noise: few images do."""
    random, side = np.random.default_rng((49, seed)), 10
    hues = np.random.default_rng(51).uniform(35, 220, (CLASSES, 2, 3))
    labels = random.integers(0, CLASSES, count)
    at = (side - 1) / 2 + random.uniform(-0.8, 0.8, (2, count, 1, 1))
    y, x = np.mgrid[:side, :side]
    disc = (np.hypot(y - at[0], x - at[1]) < random.uniform(2.4, 3.4, (count, 1, 1)))[:, None]
    inner, outer = (hues[labels, part][:, :, None, None] for part in (0, 1))
    return pixels(np.where(disc, inner, outer) + random.normal(0, 14, (count, 3, side, side))), labels
