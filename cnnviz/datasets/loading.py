"""One door for every data set: `load("mnist")`, `load("path/to/folder")`."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets import cache, library, registry
from cnnviz.datasets.cache import About, Maker, Wanted
from cnnviz.datasets.dataset import Dataset
from cnnviz.datasets.encoded_store import digests, fingerprint, require_space
from cnnviz.datasets.layouts import detect, hub
from cnnviz.datasets.spec import DataError, DatasetSpec, Labels, Pixels, Progress, Step, silent
from cnnviz.models import Options

# From a registered spec to an entry of the cache.


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


def load(
    name: str | os.PathLike[str], options: Mapping[str, Any] | None = None, progress: Progress = silent
) -> Dataset:
    """Open a data set, preparing it (download, decode, cache) where that has not been done.

    Args:
        name: A registered name, `mine/NAME`, a path, or a name at Hugging Face (`owner/name`).
        options: What the source lets one choose, as `{"size": 64}`; text is read as the option declares.
        progress: Called with a `Step` now and then, from this thread.

    Raises:
        DataError: in one sentence, for what cannot be read, found, fetched or written.
        ValueError: for options that there are not.
    """
    requested, chosen = os.fspath(name), options or {}
    ready = library.opened(requested, chosen)
    if ready is not None:
        return ready
    entry, make = _wanted(requested, chosen)
    return cache.opened(entry) or cache.made(entry, make, progress)


def prepared(name: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Dataset | None:
    """The data set if it is ready to be opened, else None; nothing is downloaded or decoded."""
    requested, chosen = os.fspath(name), options or {}
    if requested in library.user_datasets():
        return library.opened(requested, chosen)
    return cache.opened(_wanted(requested, chosen)[0])


def check(name: str) -> str:
    """The name as any process here can load it: a path made absolute, other names as they are.

    Nothing is read, downloaded or decoded. Raises `UnknownDatasetError` for what is neither name nor path.
    """
    if name in registry.specs():
        return name
    if is_path(name):
        return os.path.abspath(name)
    return name if _at_hub(name) else registry.get(name).name


def is_path(name: str) -> bool:
    """Whether `name` means a folder or a file that there is; a registered name comes first."""
    return name not in registry.specs() and os.path.exists(name)


def _wanted(name: str, options: Mapping[str, Any]) -> tuple[Wanted, Maker]:
    own = library.user_datasets().get(name)
    if own is not None:
        return library.source(own, options)
    if is_path(name):
        return detect.wanted(name, Path(name), options)
    if name not in registry.specs() and _at_hub(name):
        return hub.wanted(name, options)
    return wanted(registry.get(name), options)


def _at_hub(name: str) -> bool:
    return hub.named(name) and not name.startswith(library.PREFIX)
