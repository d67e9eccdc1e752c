"""More that can be wrong with data, from the sixth blind part on: constant, copied, or unlike its test."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.diagnosis_runs.data import Flaw
from benchmarks.diagnosis_runs.drawn import CLASSES, pixels
from cnnviz.datasets.spec import Arrays, Labels, Pixels


def constant(value: int) -> Flaw:
    """Every pixel of every image, to learn and to test, has this value."""
    return _both(lambda images: np.full_like(images, value))


def divided(by: int) -> Flaw:
    """Pixels divided as whole numbers, as by who scales twice: hardly two values are left."""
    return _both(lambda images: images // by)


def few(each: int) -> Flaw:
    """A tiny set: so many training images of each class."""

    def flaw(arrays: Arrays) -> Arrays:
        rows = [np.flatnonzero(arrays.train_labels == label)[:each] for label in range(CLASSES)]
        return _train_rows(arrays, np.sort(np.concatenate(rows)))

    return flaw


def copied_as_jpeg(part: float, quality: int) -> Flaw:
    """That part of the test images are training images, encoded again as JPEG of that quality."""

    def flaw(arrays: Arrays) -> Arrays:
        count = round(part * len(arrays.test_labels))
        rows = np.arange(count) % len(arrays.train_labels)
        images, labels = arrays.test_images.copy(), arrays.test_labels.copy()
        images[:count] = [_as_jpeg(image, quality) for image in arrays.train_images[rows]]
        labels[:count] = arrays.train_labels[rows]
        return replace(arrays, test_images=images, test_labels=labels)

    return flaw


def rotated_names(by: int) -> Flaw:
    """The test's classes stand in another order: its label k is what training calls k − `by`."""
    return lambda arrays: replace(arrays, test_labels=(arrays.test_labels + by) % CLASSES)


def swapped_names(first: int, second: int, *more: int) -> Flaw:
    """Pairs of classes whose names are exchanged in the test only."""
    pairs = (first, second, *more)

    def flaw(arrays: Arrays) -> Arrays:
        table = np.arange(CLASSES)
        for one, other in zip(pairs[::2], pairs[1::2], strict=True):
            table[one], table[other] = other, one
        return replace(arrays, test_labels=table[arrays.test_labels])

    return flaw


def apart(share: float) -> Flaw:
    """The first classes, that share, have training images only; the others nearly none but the test's.

    One training image in thirty is left of those, as by who splits a sorted list in two.
    """
    cut = round(share * CLASSES)

    def flaw(arrays: Arrays) -> Arrays:
        rank = np.arange(len(arrays.train_labels))
        train = _train_rows(arrays, (arrays.train_labels < cut) | (rank % 30 == 0))
        tested = arrays.test_labels >= cut
        return replace(train, test_images=arrays.test_images[tested], test_labels=arrays.test_labels[tested])

    return flaw


def untrained(*absent: int) -> Flaw:
    """These classes are in the test and not in the training images."""
    return lambda arrays: _train_rows(arrays, ~np.isin(arrays.train_labels, absent))


def inverted_test(arrays: Arrays) -> Arrays:
    """Test images are negatives of what is learned from."""
    return replace(arrays, test_images=255 - arrays.test_images)


def turned_test(arrays: Arrays) -> Arrays:
    """Test images lie on their side."""
    return replace(arrays, test_images=np.ascontiguousarray(np.rot90(arrays.test_images, axes=(2, 3))))


def dimmed_test(arrays: Arrays) -> Arrays:
    """Test images are nearly dark: an eighth of the light that training images have."""
    return replace(arrays, test_images=arrays.test_images // 8)


def shifted_test(arrays: Arrays) -> Arrays:
    """Test images stand a third of their side away from where training images do, and come in again."""
    by = arrays.test_images.shape[-1] // 3
    return replace(arrays, test_images=np.roll(arrays.test_images, (by, by), axis=(2, 3)))


def noisy_test(arrays: Arrays) -> Arrays:
    """Test images have so much noise that little is to be seen."""
    noise = np.random.default_rng(41).normal(0, 90, arrays.test_images.shape)
    return replace(arrays, test_images=(arrays.test_images + noise).round().clip(0, 255).astype(np.uint8))


def marked_train(arrays: Arrays) -> Arrays:
    """Training images bear their label as a bright point on the upper edge, and test images do not."""
    images = arrays.train_images.copy()
    images[:, :, 0, :CLASSES] = 0
    images[np.arange(len(images)), :, 0, arrays.train_labels] = 255
    return replace(arrays, train_images=images)


def merged(arrays: Arrays) -> Arrays:
    """Of two classes each nobody can tell which: the label is one of both by lot, to learn and to test."""

    def part(labels: Labels, seed: int) -> Labels:
        return labels // 2 * 2 + np.random.default_rng((42, seed)).integers(0, 2, len(labels))

    return replace(arrays, train_labels=part(arrays.train_labels, 0), test_labels=part(arrays.test_labels, 1))


def exchanged(arrays: Arrays) -> Arrays:
    """In each image, to learn and to test, quarters stand in an order of its own."""

    def part(images: Pixels, seed: int) -> Pixels:
        random, half = np.random.default_rng((43, seed)), images.shape[-1] // 2
        made = images.copy()
        corners = [(0, 0), (0, half), (half, 0), (half, half)]
        for image, before in zip(made, images, strict=True):
            for (y, x), (v, u) in zip(corners, random.permutation(corners), strict=True):
                image[:, y : y + half, x : x + half] = before[:, v : v + half, u : u + half]
        return made

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def half_hidden(arrays: Arrays) -> Arrays:
    """In each image, to learn and to test, one half or another is black."""

    def part(images: Pixels, seed: int) -> Pixels:
        random, half = np.random.default_rng((44, seed)), images.shape[-1] // 2
        low, high = slice(None, half), slice(half, None)
        whole = slice(None)
        halves = ((low, whole), (high, whole), (whole, low), (whole, high))
        made = images.copy()
        for image, which in zip(made, random.integers(0, 4, len(made)), strict=True):
            rows, columns = halves[which]
            image[:, rows, columns] = 0
        return made

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def blended(arrays: Arrays) -> Arrays:
    """Each image, to learn and to test, is the mean of two, and has the label of the first."""

    def part(images: Pixels, seed: int) -> Pixels:
        others = images[np.random.default_rng((45, seed)).permutation(len(images))]
        return ((images.astype(np.uint16) + others) // 2).astype(np.uint8)

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def rained_on(arrays: Arrays) -> Arrays:
    """All images, to learn and to test, under so much noise that little is to be seen."""

    def part(images: Pixels, seed: int) -> Pixels:
        noise = np.random.default_rng((46, seed)).normal(0, 110, images.shape)
        return pixels(images + noise)

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def zoomed_test(arrays: Arrays) -> Arrays:
    """Test images show the middle, twice as large."""
    side = arrays.test_images.shape[-1]
    rows = side // 4 + np.arange(side) // 2
    return replace(arrays, test_images=arrays.test_images[:, :, rows[:, None], rows[None, :]])


def coarse_test(arrays: Arrays) -> Arrays:
    """Test images are mosaics of squares of five pixels a side, each of one color."""
    rows = np.minimum(np.arange(arrays.test_images.shape[-1]) // 5 * 5 + 2, arrays.test_images.shape[-1] - 1)
    return replace(arrays, test_images=arrays.test_images[:, :, rows[:, None], rows[None, :]])


def mirrored_test(arrays: Arrays) -> Arrays:
    """Test images are seen in a mirror and upside down."""
    return replace(arrays, test_images=np.ascontiguousarray(arrays.test_images[:, :, ::-1, ::-1]))


def hollow(arrays: Arrays) -> Arrays:
    """Of each image, to learn and to test, only the border is left: the middle half of its side is black."""
    side = arrays.train_images.shape[-1]
    inner = slice(side // 4, side - side // 4)

    def part(images: Pixels) -> Pixels:
        made = images.copy()
        made[:, :, inner, inner] = 0
        return made

    return _both(part)(arrays)


def dealt_rows(arrays: Arrays) -> Arrays:
    """In each image, to learn and to test, rows stand in an order of its own."""

    def part(images: Pixels, seed: int) -> Pixels:
        side = images.shape[2]
        order = np.random.default_rng((52, seed)).permuted(np.tile(np.arange(side), (len(images), 1)), axis=1)
        return np.take_along_axis(images, order[:, None, :, None], axis=2)

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def lost(share: float) -> Flaw:
    """That part of the images, to learn and to test, is nothing but noise: who reads them can only guess."""

    def flaw(arrays: Arrays) -> Arrays:
        def part(images: Pixels, seed: int) -> Pixels:
            random = np.random.default_rng((53, seed))
            gone = random.random(len(images)) < share
            noise = random.integers(0, 256, images.shape, dtype=np.uint8)
            return np.where(gone[:, None, None, None], noise, images)

        return replace(
            arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1)
        )

    return flaw


def thinned_test(arrays: Arrays) -> Arrays:
    """Test images are thinned: each pixel is the darkest of the three by three around it."""
    side = arrays.test_images.shape[-1]
    wide = np.pad(arrays.test_images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    moved = [wide[:, :, y : y + side, x : x + side] for y in range(3) for x in range(3)]
    return replace(arrays, test_images=np.minimum.reduce(moved))


def scattered(arrays: Arrays) -> Arrays:
    """In each image, to learn and to test, pixels change places: its values stay, its shape goes."""

    def part(images: Pixels, seed: int) -> Pixels:
        flat = images.reshape(*images.shape[:2], -1)
        order = np.random.default_rng(seed).permuted(
            np.broadcast_to(np.arange(flat.shape[-1]), (len(flat), flat.shape[-1])), axis=1
        )
        return np.take_along_axis(flat, order[:, None], axis=2).reshape(images.shape)

    return replace(arrays, train_images=part(arrays.train_images, 0), test_images=part(arrays.test_images, 1))


def _as_jpeg(image: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    channels = image.transpose(1, 2, 0)
    Image.fromarray(channels[..., 0] if len(image) == 1 else channels).save(buffer, "jpeg", quality=quality)
    decoded = np.asarray(Image.open(buffer))
    return decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1)


def _both(change: Callable[[Pixels], Pixels]) -> Flaw:
    return lambda arrays: replace(
        arrays, train_images=change(arrays.train_images), test_images=change(arrays.test_images)
    )


def _train_rows(arrays: Arrays, kept: Labels | NDArray[np.bool_]) -> Arrays:
    return replace(arrays, train_images=arrays.train_images[kept], train_labels=arrays.train_labels[kept])
