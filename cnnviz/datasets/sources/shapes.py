"""Data sets that need no network: generated colored shapes of any size, and scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnnviz.datasets.dataset import hold_out
from cnnviz.datasets.registry import register
from cnnviz.datasets.spec import Arrays, Labels, Pixels, Progress, Step
from cnnviz.models import NoOptions, Options

# Ten shapes as signed distance functions; `draw` is deterministic and vectorized.
#
# Distances are negative inside and positive outside, in units of the shape's radius; values near zero become
# an antialiased edge of one pixel. Everything is float64, so that the bytes do not depend on the processor.

Coordinates = NDArray[np.float64]
CHUNK = 250
"""Images per chunk; each chunk has its own random stream, so that a larger set begins with a smaller one."""


def _disc(u: Coordinates, v: Coordinates) -> Coordinates:
    return np.hypot(u, v) - 0.9


def _ring(u: Coordinates, v: Coordinates) -> Coordinates:
    return np.abs(np.hypot(u, v) - 0.72) - 0.2


def _half_disc(u: Coordinates, v: Coordinates) -> Coordinates:
    return np.maximum(np.hypot(u, v - 0.4) - 1.0, v - 0.4)


def _crescent(u: Coordinates, v: Coordinates) -> Coordinates:
    return np.maximum(np.hypot(u, v) - 1.0, 0.8 - np.hypot(u - 0.5, v))


def _polygon(sides: int, radius: float) -> Callable[[Coordinates, Coordinates], Coordinates]:
    """Return the distance of a regular polygon: a half-plane, after folding the plane into one sector."""
    apothem = radius * np.cos(np.pi / sides)

    def distance(u: Coordinates, v: Coordinates) -> Coordinates:
        sector = 2 * np.pi / sides
        angle = np.mod(np.arctan2(v, u), sector) - sector / 2
        return np.asarray(np.hypot(u, v) * np.cos(angle) - apothem)

    return distance


def _star(u: Coordinates, v: Coordinates) -> Coordinates:
    """Return the distance of a five-pointed star, folded into half a sector with one straight edge."""
    sector = 2 * np.pi / 5
    angle = np.abs(np.mod(np.arctan2(v, u) + sector / 2, sector) - sector / 2)
    radius = np.hypot(u, v)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    inner = 0.45 * np.array([np.cos(sector / 2), np.sin(sector / 2)])
    normal = np.array([inner[1], 1.1 - inner[0]])
    normal /= np.hypot(normal[0], normal[1])
    return np.asarray((x - 1.1) * normal[0] + y * normal[1])


def _cross(u: Coordinates, v: Coordinates) -> Coordinates:
    a, b = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(a - 1.0, b - 0.32), np.maximum(a - 0.32, b - 1.0))


def _heart(u: Coordinates, v: Coordinates) -> Coordinates:
    """Return the distance of a heart: a square on its corner, with a disc on each of its upper sides."""
    side = 0.6
    a, b = (u + v - 0.2) / np.sqrt(2), (v - u - 0.2) / np.sqrt(2)
    square = np.maximum(np.abs(a), np.abs(b)) - side
    discs = np.minimum(np.hypot(a + side, b), np.hypot(a, b + side)) - side
    return np.asarray(np.minimum(square, discs))


SHAPES: dict[str, Callable[[Coordinates, Coordinates], Coordinates]] = {
    "disc": _disc,
    "ring": _ring,
    "half disc": _half_disc,
    "crescent": _crescent,
    "triangle": _polygon(3, 1.15),
    "square": _polygon(4, 1.1),
    "pentagon": _polygon(5, 1.05),
    "star": _star,
    "cross": _cross,
    "heart": _heart,
}
NAMES = tuple(SHAPES)


def draw(count: int, size: int, seed: int, stream: int = 0) -> tuple[Pixels, Labels]:
    """Draw `count` colored shapes on `size`×`size` pixels.

    Args:
        count: Number of images; the first ones do not depend on it.
        size: Side in pixels.
        seed: Random seed; it determines every byte.
        stream: Random stream (0 for training, 1 for test); different streams share no image.

    Returns:
        Images uint8 `(count, 3, size, size)` and labels int64 `(count,)`, indices into `NAMES`, balanced in
        every full chunk.
    """
    images = np.empty((count, 3, size, size), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    for number, start in enumerate(range(0, count, CHUNK)):
        random = np.random.default_rng((seed, stream, number))
        chunk = random.permutation(np.arange(CHUNK) % len(SHAPES))
        rows = slice(start, min(start + CHUNK, count))
        labels[rows] = chunk[: rows.stop - start]
        images[rows] = _chunk(random, chunk, size)[: rows.stop - start]
    return images, labels


def _chunk(random: np.random.Generator, labels: Labels, size: int) -> Pixels:
    count = len(labels)
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    inside = _coverage(random, labels, x, y)
    ground = _ground(random, count, x, y)
    paint = _paint(random, ground.mean(axis=(2, 3)))
    shade = 1 + random.uniform(-0.25, 0.25, (count, 1, 1)) * x
    picture = ground + inside[:, None] * (paint[:, :, None, None] * shade[:, None] - ground)
    grain = random.uniform(0.0, 0.12, (count, 1, 1, 1))
    # Triangular noise (the sum of two uniforms): cheaper than a normal distribution, and bounded.
    noise = random.random(picture.shape) + random.random(picture.shape) - 1
    return np.asarray(np.clip((picture + grain * noise) * 255, 0, 255).round().astype(np.uint8))


def _coverage(random: np.random.Generator, labels: Labels, x: Coordinates, y: Coordinates) -> Coordinates:
    """Compute the fraction of each pixel that the shape covers, `(N, H, W)` in [0, 1]."""
    count = (len(labels), 1, 1)
    radius = random.uniform(0.38, 0.72, count)
    margin = np.clip(0.92 - radius, 0, None)
    rotation = random.uniform(0, 2 * np.pi, count)
    stretch = random.uniform(0.85, 1.18, count)
    dx, dy = x - random.uniform(-1, 1, count) * margin, y - random.uniform(-1, 1, count) * margin
    u = (dx * np.cos(rotation) + dy * np.sin(rotation)) / radius * stretch
    v = (dy * np.cos(rotation) - dx * np.sin(rotation)) / radius / stretch
    distance = np.empty_like(u)
    for label, shape in enumerate(SHAPES.values()):
        rows = labels == label
        distance[rows] = shape(u[rows], v[rows])
    pixel = 2 / x.shape[1]
    return np.asarray(np.clip(0.5 - distance * radius / pixel, 0, 1))


def _ground(random: np.random.Generator, count: int, x: Coordinates, y: Coordinates) -> Coordinates:
    """Draw a gradient between two similar colors, with soft waves, `(N, 3, H, W)`."""
    base = random.uniform(0.1, 0.9, (count, 3, 1, 1))
    second = np.clip(base + random.uniform(-0.25, 0.25, base.shape), 0, 1)
    angle = random.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    slope = (x * np.cos(angle) + y * np.sin(angle)) / (2 * np.sqrt(2)) + 0.5
    frequency = random.uniform(-12, 12, (2, count, 1, 1, 1))
    phase = random.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    waves = np.sin(frequency[0] * x + frequency[1] * y + phase) * random.uniform(0, 0.12, (count, 1, 1, 1))
    return np.asarray(base + (second - base) * slope + waves)


def _paint(random: np.random.Generator, ground: Coordinates) -> Coordinates:
    """Draw a color `(N, 3)` that contrasts with the background's mean in at least one channel."""
    paint = random.uniform(0, 1, ground.shape)
    rows = np.arange(len(paint))
    channel = random.integers(0, 3, len(paint))
    step = random.uniform(0.35, 0.5, len(paint))
    background = ground[rows, channel]
    paint[rows, channel] = np.where(background < 0.5, background + step, background - step)
    return np.asarray(paint)


class ShapesOptions(Options):
    """Options of the generator: number of images, size and seed."""

    size: int = Field(32, ge=8, le=256, description="Side of an image in pixels.")
    train: int = Field(10_000, ge=10, le=100_000, description="Training images.")
    test: int = Field(2_000, ge=10, le=100_000, description="Test images.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="The same seed draws the same images.")


@register(
    "shapes",
    title="Shapes",
    summary="Ten colored shapes of any place, size, turn and color on uneven, noisy ground.",
    shape=(3, 32, 32),
    classes=NAMES,
    train=10_000,
    test=2_000,
    origin="Drawn on this machine by cnnviz's own generator.",
    licence="MIT, as cnnviz",
    offline=True,
    options=ShapesOptions,
    split="Training and test images come from two random streams of one seed.",
)
def shapes(options: ShapesOptions, progress: Progress) -> Arrays:
    """Draw both parts."""
    total = options.train + options.test
    progress(Step("drawing", 0, total))
    train = draw(options.train, options.size, options.seed, stream=0)
    progress(Step("drawing", options.train, total))
    test = draw(options.test, options.size, options.seed, stream=1)
    progress(Step("drawing", total, total))
    return Arrays(*train, *test)


SIDE = 24
"""Each pixel is scaled by three; with the border this gives 28, the size of MNIST."""
BORDER = 2


@register(
    "digits",
    title="Digits",
    summary="1,797 handwritten digits of 43 people, 8×8 pixels each, enlarged to MNIST's 28×28.",
    shape=(1, 28, 28),
    classes=tuple("0123456789"),
    train=1_438,
    test=359,
    origin="The test set of the UCI digits (E. Alpaydin, C. Kaynak, 1998), which is part of scikit-learn.",
    licence="CC BY 4.0",
    citation="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998",
    offline=True,
    split="A fixed stratified split (seed 0): 1,438 to train, 359 to test.",
)
def digits(options: NoOptions, progress: Progress) -> Arrays:
    """Load, enlarge and split the digits."""
    from sklearn.datasets import load_digits

    progress(Step("enlarging", 0, None))
    bunch = load_digits()
    images = _enlarged(bunch.images)
    labels = bunch.target.astype(np.int64)
    train, test = hold_out(labels, 0.2, seed=0)
    return Arrays(images[train], labels[train], images[test], labels[test])


def _enlarged(small: Pixels) -> Pixels:
    """Resize 8×8 images with values 0–16 to uint8 `(N, 1, 28, 28)`, bicubic.

    With a black border like MNIST's.
    """
    from PIL import Image

    whole = np.zeros((len(small), 1, SIDE + 2 * BORDER, SIDE + 2 * BORDER), dtype=np.uint8)
    for target, values in zip(whole, small, strict=True):
        picture = Image.fromarray((values * (255 / 16)).round().astype(np.uint8))
        larger = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        target[0, BORDER:-BORDER, BORDER:-BORDER] = np.asarray(larger)
    return whole
