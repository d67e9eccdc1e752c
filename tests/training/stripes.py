"""A small data set that can be learned in seconds."""

from pathlib import Path

import numpy as np

from cnnviz.datasets import Dataset, Part


def stripes(count: int = 160, seed: int = 0) -> Part:
    """Gray 28×28 images of three classes: a bright band at the top, in the middle, at the bottom."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = random.integers(0, 90, (count, 1, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 9 * label : 9 * label + 9] += 120
    return Part(images, labels.astype(np.int64))


def striped() -> Dataset:
    """160 of them to train on, 60 others to be judged by."""
    names = ("top", "middle", "bottom")
    return Dataset("stripes", "Stripes", names, stripes(), stripes(60, 1), "f" * 64, (), Path())
