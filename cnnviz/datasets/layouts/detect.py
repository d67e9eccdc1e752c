"""Which layout a path has; and what of it decides whether a cached copy still serves."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnviz.datasets import cache, user_data
from cnnviz.datasets.cache import About, Maker, Wanted
from cnnviz.datasets.image_files import READING
from cnnviz.datasets.layouts import class_folders, parquet, zips
from cnnviz.datasets.spec import DataError, Progress
from cnnviz.datasets.user_data import OwnOptions

_FOLDER, _PARQUET, _ZIP = "folder", "parquet", "zip"
_SOURCES = {_FOLDER: class_folders.source, _PARQUET: parquet.source, _ZIP: zips.source}


def wanted(name: str, path: Path, options: Mapping[str, Any]) -> tuple[Wanted, Maker]:
    """What to look for in the cache for the data at `path`, and how to make it.

    Raises `DataError` where it is neither a folder, a zip nor Parquet, and `ValueError` for wrong options.
    """
    parsed = OwnOptions.model_validate(OwnOptions.parse(options))
    layout = _layout(path)
    entry = Wanted(
        key=cache.key_of(path.resolve().stem, str(path.resolve()), parsed.changed()),
        name=name,
        state=cache.state_of(layout, parsed.model_dump(), _state(path, layout), READING),
    )
    return entry, functools.partial(_make, path, layout, parsed)


def _make(path: Path, layout: str, options: OwnOptions, folder: Path, progress: Progress) -> About:
    return user_data.make(_SOURCES[layout](path), options, folder, progress)


def _layout(path: Path) -> str:
    if path.is_dir():
        return _PARQUET if any(any(path.glob(pattern)) for pattern in parquet.PATTERNS) else _FOLDER
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return _PARQUET
    if zipfile.is_zipfile(path):
        return _ZIP
    raise DataError(
        f"'{path}' is neither a folder of class folders, nor a zip of them, nor Parquet; use one of these."
    )


def _state(path: Path, layout: str) -> list[tuple[str, int, int]]:
    """Name, bytes and time of change of every file that counts."""
    if layout == _FOLDER:
        return class_folders.listing(path)
    paths = (
        sorted(p for found in parquet.files(path).values() for p in found) if layout == _PARQUET else [path]
    )
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
