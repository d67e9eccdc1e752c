"""Cache of prepared data sets under `CNNVIZ_HOME/cache/datasets`: created once, then memory-mapped.

An entry is a folder of `.npy` files and a description. It is written under a temporary name, flushed and
renamed, so that it is complete or absent; a lock file keeps two processes from creating the same entry twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from cnnviz.datasets.dataset import NAMES_ENCODING, Dataset, Part, Stream
from cnnviz.datasets.encoded_store import Packed, disk_errors
from cnnviz.datasets.spec import DataError, Labels, Progress, Step
from cnnviz.models import Shape
from cnnviz.paths import home

VERSION = 1
"""Version of the layout below; entries of another version are ignored."""
ABOUT = "about.json"
PARTS = ("train", "test")
PATIENCE = 0.5
"""Seconds between two progress reports while waiting for another process."""


@dataclass(frozen=True)
class CacheRequest:
    """Request for a cache entry: `key` names it; it is valid as long as `state` is the same."""

    key: str
    name: str
    state: str
    """Hash of the source and of all options that affect the result."""


@dataclass(frozen=True)
class About:
    """Metadata of an entry, besides its arrays."""

    title: str
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]
    shape: Shape
    """Shape of one image, `(C, H, W)`."""


Maker = Callable[[Path, Progress], About]
"""Function that fills a folder with the labels of each part, and with its images or a common stream."""


def folder() -> Path:
    """Return the folder of the entries, which need not exist."""
    return home() / "cache" / "datasets" / f"v{VERSION}"


def key_of(name: str, *identity: object) -> str:
    """Return a folder name: a readable prefix and a unique suffix."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "data"
    return f"{readable}-{state_of(name, *identity)[:12]}"


def state_of(*values: object) -> str:
    """Hash values that are JSON-serializable."""
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def images_path(entry: Path, part: str) -> Path:
    """Return the path of a part's images, uint8 `(N, C, H, W)`."""
    return entry / f"{part}-images.npy"


def pack_path(entry: Path) -> Path:
    """Return the path of a streaming data set's encoded images, which are concatenated."""
    return entry / "pictures.bin"


def _names_path(entry: Path) -> Path:
    return entry / "names.txt"


def _rows_path(entry: Path, part: str) -> Path:
    """Return the path of a streaming part's index: number, begin and end of each image, int64 `(N, 3)`."""
    return entry / f"{part}-rows.npy"


def open_entry(request: CacheRequest) -> Dataset | None:
    """Open the entry memory-mapped; return None where there is no valid one."""
    entry = folder() / request.key
    try:
        about = orjson.loads((entry / ABOUT).read_bytes())
        if about["state"] != request.state:
            return None
        train, test = (_part(entry, part, tuple(about["shape"])) for part in PARTS)
    except (OSError, ValueError, KeyError, EOFError):
        # Absent, or damaged from outside: it is created again.
        return None
    return Dataset(
        name=request.name,
        title=about["title"],
        classes=tuple(about["classes"]),
        train=train,
        test=test,
        fingerprint=about["fingerprint"],
        notes=tuple(about["notes"]),
        folder=entry,
    )


def _part(entry: Path, part: str, shape: Shape) -> Part:
    labels = np.load(entry / f"{part}-labels.npy", allow_pickle=False)
    if not pack_path(entry).exists():
        return Part(np.load(images_path(entry, part), mmap_mode="c", allow_pickle=False), labels)
    rows = np.load(_rows_path(entry, part), allow_pickle=False)
    stream = Stream(pack_path(entry), _names_path(entry), rows[:, 0], rows[:, 1:], shape)
    return Part(stream, labels)


def open_or_create(request: CacheRequest, make: Maker, progress: Progress) -> Dataset:
    """Open the entry; `make(folder, progress)` creates it where it is absent or outdated.

    Exceptions of `make` are passed on; nothing is left behind then.

    Raises:
        DataError: Where the disk is full.
    """
    with disk_errors(), _locked(request, progress):
        dataset = open_entry(request)
        if dataset is not None:
            return dataset
        temporary = folder() / f"{request.key}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            about = make(temporary, progress)
            _describe(temporary, request, about)
            _put(temporary, folder() / request.key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    dataset = open_entry(request)
    if dataset is None:
        raise DataError(
            f"What was just written to '{folder() / request.key}' cannot be read; check the disk."
        )
    return dataset


@contextmanager
def _locked(request: CacheRequest, progress: Progress) -> Iterator[None]:
    folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder() / f"{request.key}.lock")
    timeout = 0.0
    while not lock.is_locked:
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            # Reported repeatedly, so that the callback can abort the wait.
            progress(Step("waiting for another process that prepares the same data", 0, None))
            timeout = PATIENCE
    try:
        yield
    finally:
        lock.release()


def write_labels(entry: Path, part: str, labels: Labels) -> None:
    """Write the labels of a part."""
    np.save(entry / f"{part}-labels.npy", labels.astype(np.int64), allow_pickle=False)


def write_stream(entry: Path, packed: Packed, parts: Mapping[str, Labels]) -> None:
    """Write the position of each part's images in the pack, and their names."""
    for part, rows in parts.items():
        table = np.concatenate([rows[:, None], packed.spans[rows]], axis=1)
        np.save(_rows_path(entry, part), table, allow_pickle=False)
    with _names_path(entry).open("w", encoding=NAMES_ENCODING, errors="replace") as file:
        file.writelines(" ".join(name.split()) + "\n" for name in packed.names)


def _describe(temporary: Path, request: CacheRequest, about: About) -> None:
    document: dict[str, Any] = {**asdict(about), "name": request.name, "state": request.state}
    (temporary / ABOUT).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _put(temporary: Path, entry: Path) -> None:
    """Flush the files and rename the folder; a process that has the old entry mapped is not affected."""
    for path in temporary.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    old = entry.with_name(f"{entry.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if entry.exists():
        entry.rename(old)
    temporary.rename(entry)
    shutil.rmtree(old, ignore_errors=True)
