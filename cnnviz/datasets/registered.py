"""From a registered spec to an entry of the cache."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets import cache
from cnnviz.datasets.cache import About, Maker, Wanted
from cnnviz.datasets.disk import require_space
from cnnviz.datasets.fingerprint import digests, fingerprint
from cnnviz.datasets.spec import DataError, DatasetSpec, Labels, Pixels, Progress, Step
from cnnviz.models import Options


def wanted(spec: DatasetSpec, options: Mapping[str, Any]) -> tuple[Wanted, Maker]:
    """What to look for in the cache, and how to make it; raises `ValueError` for wrong options."""
    chosen = spec.options.parse(options)
    changed = chosen.changed()
    state = cache.state_of(chosen.model_dump(), spec.revision)
    entry = Wanted(cache.key_of(spec.name, changed, spec.source), spec.name, state)
    return entry, functools.partial(_make, spec, chosen)


def _make(spec: DatasetSpec, options: Options, folder: Path, progress: Progress) -> About:
    arrays = spec.loader(options, progress)
    classes = arrays.classes or spec.classes
    parts = (
        ("train", arrays.train_images, arrays.train_labels),
        ("test", arrays.test_images, arrays.test_labels),
    )
    require_space(folder, sum(images.nbytes for _, images, _ in parts))
    for part, images, labels in parts:
        _check(spec.name, part, images, labels, len(classes))
        np.save(cache.images_path(folder, part), images, allow_pickle=False)
        cache.write_labels(folder, part, labels)
    progress(Step("fingerprint", 0, None))
    mark = fingerprint([(part, digests(images), labels) for part, images, labels in parts])
    return About(spec.title, classes, mark, (spec.split, *arrays.notes), arrays.train_images.shape[1:])


def _check(name: str, part: str, images: Pixels, labels: Labels, classes: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels) or not len(images):
        raise DataError(
            f"The {part} part of '{name}' is {images.dtype} {images.shape} with {len(labels):,} labels; "
            "its loader must return uint8 (N, C, H, W) and as many labels."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The {part} part of '{name}' has labels from {labels.min()} to {labels.max()}, but its "
            f"{classes} classes go from 0 to {classes - 1}."
        )
