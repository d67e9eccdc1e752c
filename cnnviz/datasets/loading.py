"""One door for every data set: `load("mnist")`, `load("path/to/folder")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnviz.datasets import cache, registered, registry
from cnnviz.datasets.cache import Maker, Wanted
from cnnviz.datasets.layouts import choosing, hub
from cnnviz.datasets.parts import Dataset
from cnnviz.datasets.spec import Progress, silent


def load(
    name: str | os.PathLike[str], options: Mapping[str, Any] | None = None, progress: Progress = silent
) -> Dataset:
    """Open a data set, preparing it (download, decode, cache) where that has not been done.

    Args:
        name: A registered name, the path of the user's own, or a name at Hugging Face (`owner/name`).
        options: What the source lets one choose, as `{"size": 64}`; text is read as the option declares.
        progress: Called with a `Step` now and then, from this thread.

    Raises:
        DataError: in one sentence, for what cannot be read, found, fetched or written.
        ValueError: for options that there are not.
    """
    entry, make = _wanted(os.fspath(name), options or {})
    return cache.opened(entry) or cache.made(entry, make, progress)


def prepared(name: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Dataset | None:
    """The data set if it is ready to be opened, else None; nothing is downloaded or decoded."""
    return cache.opened(_wanted(os.fspath(name), options or {})[0])


def _wanted(name: str, options: Mapping[str, Any]) -> tuple[Wanted, Maker]:
    if name not in registry.specs() and os.path.exists(name):
        return choosing.wanted(name, Path(name), options)
    if name not in registry.specs() and hub.named(name):
        return hub.wanted(name, options)
    return registered.wanted(registry.get(name), options)
