"""One door for every data set: `load("mnist")`, `load("path/to/folder")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnviz.datasets import cache, library, registered, registry
from cnnviz.datasets.cache import Maker, Wanted
from cnnviz.datasets.layouts import choosing, hub
from cnnviz.datasets.parts import Dataset
from cnnviz.datasets.spec import Progress, silent


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
    asked, chosen = os.fspath(name), options or {}
    ready = library.opened(asked, chosen)
    if ready is not None:
        return ready
    entry, make = _wanted(asked, chosen)
    return cache.opened(entry) or cache.made(entry, make, progress)


def prepared(name: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Dataset | None:
    """The data set if it is ready to be opened, else None; nothing is downloaded or decoded."""
    asked, chosen = os.fspath(name), options or {}
    if asked in library.kept():
        return library.opened(asked, chosen)
    return cache.opened(_wanted(asked, chosen)[0])


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
    own = library.kept().get(name)
    if own is not None:
        return library.source(own, options)
    if is_path(name):
        return choosing.wanted(name, Path(name), options)
    if name not in registry.specs() and _at_hub(name):
        return hub.wanted(name, options)
    return registered.wanted(registry.get(name), options)


def _at_hub(name: str) -> bool:
    return hub.named(name) and not name.startswith(library.PREFIX)
