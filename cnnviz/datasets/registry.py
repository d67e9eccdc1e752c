"""The registry: every data set the product knows, by name.

A file in `sources/` registers its data sets with `@register(…)` when it is imported; which files there are is
found by looking, so that adding a data set is one function in one file.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from rapidfuzz import process

from cnnviz.datasets import sources
from cnnviz.datasets.spec import DataError, DatasetSpec, Loader

_SPECS: dict[str, DatasetSpec] = {}
ENTRY_POINT_GROUP = "cnnviz.datasets"
_NAME = re.compile(r"[a-z0-9][a-z0-9._\-]{0,79}")


class UnknownDatasetError(DataError):
    """No data set has this name; the message suggests the nearest."""


def register(name: str, **facts: Any) -> Callable[[Loader], Loader]:
    """Register a function `(options, progress) -> Arrays`; `facts` are `DatasetSpec` fields."""

    def wrap(loader: Loader) -> Loader:
        ours = loader.__module__.startswith(f"{sources.__name__}.")
        add(DatasetSpec(name=name, loader=loader, **{"source": "cnnviz" if ours else "yours", **facts}))
        return loader

    return wrap


def add(spec: DatasetSpec) -> None:
    """Add a spec; one of the user's own replaces an earlier one of the same name.

    Raises `ValueError` where the name is taken by one that is not the user's, or cannot be a name.
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
    """Forget a registered data set; unknown names are ignored."""
    _SPECS.pop(name, None)


@functools.cache
def _load_sources() -> None:
    for module in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{module.name}")


@functools.cache
def _load_entry_points() -> tuple[str, ...]:
    """Import what other packages offer, and return what went wrong: their fault must not stop the app."""
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
    """Sentences on data sets that are missing: entry points that failed, files of the user's own."""
    from cnnviz.datasets import library

    return [*_load_entry_points(), *library.problems()]


def specs() -> dict[str, DatasetSpec]:
    """Every known spec by name: what needs no network first, then downloads, then the user's own."""
    from cnnviz.datasets import library

    _load_sources()
    _load_entry_points()
    known = sorted(_SPECS.values(), key=lambda s: (s.source == "yours", not s.offline, s.download_bytes))
    return {spec.name: spec for spec in (*known, *(own.spec for own in library.user_datasets().values()))}


def names() -> list[str]:
    """The names of every known data set."""
    return list(specs())


def get(name: str) -> DatasetSpec:
    """The spec called `name`; raises `UnknownDatasetError` that suggests the nearest names."""
    known = specs()
    if name in known:
        return known[name]
    near = [match for match, _, _ in process.extract(name, known.keys(), limit=3, score_cutoff=60)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m cnnviz data list` lists them all."
    raise UnknownDatasetError(f"There is no data set and no folder or file '{name}'; {hint}")
