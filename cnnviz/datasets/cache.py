"""Decoded data sets on disk, under `CNNVIZ_HOME/cache/datasets`: made once, then mapped in milliseconds.

An entry is a folder of `.npy` files and a description. It is written under another name, flushed and renamed,
so that it is whole or absent; a lock beside it keeps two processes from making the same one twice.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from cnnviz.datasets.parts import Dataset, Part
from cnnviz.datasets.spec import DataError, Labels, Progress, Step
from cnnviz.models.library import home

VERSION = 1
"""Of the layout below; entries of another version are not looked at."""
ABOUT = "about.json"
PARTS = ("train", "test")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Wanted:
    """What an entry is for. `key` names it; it serves as long as `state` is the same."""

    key: str
    name: str
    state: str
    """Changes with the source and with every choice that decides the result."""


@dataclass(frozen=True)
class About:
    """What an entry says of itself besides its arrays."""

    title: str
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


Maker = Callable[[Path, Progress], About]
"""Fills a folder with `images_path` and `labels_path` of each part."""


def folder() -> Path:
    """Where the entries are; it need not exist."""
    return home() / "cache" / "datasets" / f"v{VERSION}"


def key_of(name: str, *identity: object) -> str:
    """A folder's name: readable at the front, unique at the end."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "data"
    return f"{readable}-{state_of(name, *identity)[:12]}"


def state_of(*values: object) -> str:
    """A hash of values that JSON can hold."""
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def images_path(entry: Path, part: str) -> Path:
    """The images of a part, uint8 `(N, C, H, W)`."""
    return entry / f"{part}-images.npy"


def labels_path(entry: Path, part: str) -> Path:
    """The labels of a part, int64 `(N,)`."""
    return entry / f"{part}-labels.npy"


def opened(wanted: Wanted) -> Dataset | None:
    """The entry, memory-mapped, or None where there is none that serves."""
    entry = folder() / wanted.key
    try:
        about = orjson.loads((entry / ABOUT).read_bytes())
        if about["state"] != wanted.state:
            return None
        train, test = (_part(entry, part) for part in PARTS)
    except (OSError, ValueError, KeyError, EOFError):
        # Absent, or damaged by what is not ours: it is made again.
        return None
    return Dataset(
        name=wanted.name,
        title=about["title"],
        classes=tuple(about["classes"]),
        train=train,
        test=test,
        fingerprint=about["fingerprint"],
        notes=tuple(about["notes"]),
        folder=entry,
    )


def _part(entry: Path, part: str) -> Part:
    images = np.load(images_path(entry, part), mmap_mode="c", allow_pickle=False)
    return Part(images, np.load(labels_path(entry, part), allow_pickle=False))


def made(wanted: Wanted, make: Maker, progress: Progress) -> Dataset:
    """The entry; `make(folder, progress)` fills it where it is absent or for another state of the source.

    Raises `DataError` where the disk is full, and whatever `make` raises; neither leaves anything behind.
    """
    with _locked(wanted, progress):
        ready = opened(wanted)
        if ready is not None:
            return ready
        fresh = folder() / f"{wanted.key}.tmp"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            with disk_errors(fresh):
                about = make(fresh, progress)
                _describe(fresh, wanted, about)
                _put(fresh, folder() / wanted.key)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    ready = opened(wanted)
    if ready is None:
        raise DataError(f"What was just written to '{folder() / wanted.key}' cannot be read; check the disk.")
    return ready


@contextmanager
def _locked(wanted: Wanted, progress: Progress) -> Iterator[None]:
    folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder() / f"{wanted.key}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Step("waiting for another process that prepares the same data", 0, None))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn a full or forbidden disk into a `DataError` that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DataError(
                f"The disk that holds '{place.parent}' is full; make room, or set CNNVIZ_HOME to another."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and str(place) in str(error.filename):
            raise DataError(
                f"'{place.parent}' cannot be written to; set CNNVIZ_HOME to a folder that can."
            ) from error
        raise


def require_space(place: Path, needed: int) -> None:
    """Raise `DataError` unless the disk of `place` has `needed` bytes free, and a little more."""
    free = shutil.disk_usage(place).free
    if free < needed + (32 << 20):
        raise DataError(
            f"{needed / 1e6:,.0f} MB are needed in '{place.parent}' and {free / 1e6:,.0f} MB are free; "
            "make room, or set CNNVIZ_HOME to a folder on another disk."
        )


def write_labels(entry: Path, part: str, labels: Labels) -> None:
    """Write the labels of a part."""
    np.save(labels_path(entry, part), labels.astype(np.int64), allow_pickle=False)


def _describe(fresh: Path, wanted: Wanted, about: About) -> None:
    document: dict[str, Any] = {**asdict(about), "name": wanted.name, "state": wanted.state}
    (fresh / ABOUT).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _put(fresh: Path, entry: Path) -> None:
    """Flush, then swap names; a process that has the old entry mapped keeps what it has."""
    for path in fresh.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    old = entry.with_name(f"{entry.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if entry.exists():
        entry.rename(old)
    fresh.rename(entry)
    shutil.rmtree(old, ignore_errors=True)
