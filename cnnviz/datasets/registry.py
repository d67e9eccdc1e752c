"""Data-set registry, and `load`: a registered name or a path to a prepared data set.

A module in `sources/` registers its data sets with `@register(…)` when it is imported; the modules are
discovered, so that adding a data set is one function in one file.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import re
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz import process

from cnnviz.datasets import cache, library, parquet, sources, user_data
from cnnviz.datasets.cache import About, CacheRequest, Maker
from cnnviz.datasets.dataset import Dataset
from cnnviz.datasets.encoded_store import digests, fingerprint, require_space
from cnnviz.datasets.spec import DataError, DatasetSpec, Labels, Loader, Pixels, Progress, Step, silent
from cnnviz.models import Options

_SPECS: dict[str, DatasetSpec] = {}
ENTRY_POINT_GROUP = "cnnviz.datasets"
_NAME = re.compile(r"[a-z0-9][a-z0-9._\-]{0,79}")


class UnknownDatasetError(DataError):
    """Error for an unknown data-set name; the message suggests the most similar names."""


def register(name: str, **facts: Any) -> Callable[[Loader], Loader]:
    """Return a decorator that registers a loader `(options, progress) -> Arrays`.

    Args:
        name: Name in the registry.
        **facts: Fields of `DatasetSpec`.
    """

    def wrap(loader: Loader) -> Loader:
        ours = loader.__module__.startswith(f"{sources.__name__}.")
        add(DatasetSpec(name=name, loader=loader, **{"source": "cnnviz" if ours else "yours", **facts}))
        return loader

    return wrap


def add(spec: DatasetSpec) -> None:
    """Add a spec; one of the user's own replaces an earlier one of the same name.

    Raises:
        ValueError: Where the name belongs to a data set that is not the user's, or is invalid.
    """
    if not _NAME.fullmatch(spec.name):
        raise ValueError(
            f"'{spec.name}' cannot be a data set's name; lower-case letters, digits and . _ - can, "
            "from 1 to 80 of them."
        )
    if spec.source == "yours":
        _load_sources()
    known = _SPECS.get(spec.name)
    if known is not None and known.source != "yours":
        raise ValueError(f"The name '{spec.name}' is taken by a data set of {known.source}; choose another.")
    _SPECS[spec.name] = spec


def remove(name: str) -> None:
    """Remove a registered data set; unknown names are ignored."""
    _SPECS.pop(name, None)


@functools.cache
def _load_sources() -> None:
    for module in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{module.name}")


@functools.cache
def _load_entry_points() -> tuple[str, ...]:
    """Import other packages' data sets and return error messages: their failure must not stop the app."""
    result = []
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            entry.load()
        except Exception as error:
            result.append(
                f"The data sets of entry point '{entry.name}' ({entry.value}) could not be loaded: "
                f"{type(error).__name__}: {error}"
            )
    return tuple(result)


def problems() -> list[str]:
    """Describe the data sets that could not be loaded: entry points and the user's own files."""
    from cnnviz.datasets import library

    return [*_load_entry_points(), *library.problems()]


def specs() -> dict[str, DatasetSpec]:
    """Return all specs by name: offline ones first, then downloads, then the user's own."""
    from cnnviz.datasets import library

    _load_sources()
    _load_entry_points()
    known = sorted(_SPECS.values(), key=lambda s: (s.source == "yours", not s.offline, s.download_bytes))
    return {spec.name: spec for spec in (*known, *(own.spec for own in library.user_datasets().values()))}


def find(name: str) -> DatasetSpec | None:
    """Return the spec called `name`, or None: a path, a repository, or nothing."""
    return _registered(name) or specs().get(name)


def _registered(name: str) -> DatasetSpec | None:
    """Return a data set registered by code, whose name no data set of the user's has (`mine/NAME`)."""
    _load_sources()
    _load_entry_points()
    return _SPECS.get(name)


def names() -> list[str]:
    """Return the names of all data sets."""
    return list(specs())


def title_of(name: str) -> str:
    """Return the title of the data set called `name`; of an unknown one, such as a folder's, the name."""
    spec = find(name)
    return name if spec is None else spec.title


def get(name: str) -> DatasetSpec:
    """Return the spec called `name`; raise `UnknownDatasetError`, which suggests the most similar names."""
    spec = find(name)
    if spec is not None:
        return spec
    near = [match for match, _, _ in process.extract(name, specs().keys(), limit=3, score_cutoff=60)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m cnnviz data list` lists them all."
    raise UnknownDatasetError(f"There is no data set and no folder or file '{name}'; {hint}")


# Loading by name or path, `load("mnist")` or `load("path/to/folder")`, through the cache.


def wanted(spec: DatasetSpec, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    """Return the cache request of a spec, and the function that prepares it.

    Raise `ValueError` for options.
    """
    chosen = spec.options.parse(options)
    changed = chosen.changed()
    state = cache.state_of(chosen.model_dump(), spec.revision)
    entry = CacheRequest(cache.key_of(spec.name, changed, spec.source), spec.name, state)
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
    """Open a data set; prepare it first (download, decode, cache) where necessary.

    Args:
        name: A registered name, `mine/NAME`, a path, or a Hugging Face repository (`owner/name`).
        options: Options of the source, such as `{"size": 64}`; text is converted to the option's type.
        progress: Called with a `Step` from time to time, in this thread.

    Returns:
        The prepared data set.

    Raises:
        DataError: Where it cannot be found, fetched, read or written; one sentence.
        ValueError: For unknown options.
    """
    requested, chosen = os.fspath(name), options or {}
    dataset = None if _registered(requested) else library.opened(requested, chosen)
    if dataset is not None:
        return dataset
    entry, make = _wanted(requested, chosen)
    return cache.open_entry(entry) or cache.open_or_create(entry, make, progress)


def prepared(name: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Dataset | None:
    """Return the data set if it is prepared, else None; nothing is downloaded or decoded."""
    requested, chosen = os.fspath(name), options or {}
    if not _registered(requested) and requested in library.user_datasets():
        return library.opened(requested, chosen)
    return cache.open_entry(_wanted(requested, chosen)[0])


def check(name: str) -> str:
    """Return the name as any local process can load it: a path is made absolute, other names are unchanged.

    Nothing is read, downloaded or decoded.

    Raises:
        UnknownDatasetError: Where it is neither a name nor a path.
    """
    if find(name):
        return name
    if is_path(name):
        return os.path.abspath(name)
    return name if _at_hub(name) else get(name).name


def is_path(name: str) -> bool:
    """Return whether `name` is an existing folder or file; registered names take precedence."""
    return find(name) is None and os.path.exists(name)


def _wanted(name: str, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    spec = _registered(name)
    if spec is not None:
        return wanted(spec, options)
    own = library.user_datasets().get(name)
    if own is not None:
        return library.source(own, options)
    if is_path(name):
        return user_data.wanted(name, Path(name), options)
    if _at_hub(name):
        return user_data.wanted_repository(name, options)
    return wanted(get(name), options)


def _at_hub(name: str) -> bool:
    return parquet.is_repository(name) and not name.startswith(library.PREFIX)
