"""A folder of class folders, with `train/` and `test/` above them or without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cnnviz.datasets.layouts.classes import arranged
from cnnviz.datasets.packing import MAX_PICTURES, Encoded, Source
from cnnviz.datasets.pictures import MAX_BYTES
from cnnviz.datasets.spec import DataError

DEEPEST = 8
"""Folders below the one that was given."""


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Every file below `root`: path with slashes, bytes, time of change; sorted, hidden ones left out.

    Raises `DataError` for a symbolic link, a folder too deep, and too many files.
    """
    found: list[tuple[str, int, int]] = []
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        for entry in _scan(folder):
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_symlink():
                raise DataError(f"'{root / name}' is a link; put the file or folder itself in its place.")
            if entry.is_dir():
                if name.count("/") >= DEEPEST:
                    raise DataError(f"'{root / name}' lies more than {DEEPEST} folders deep; move it up.")
                waiting.append((f"{name}/", folder / entry.name))
            elif entry.is_file():
                state = entry.stat()
                found.append((name, state.st_size, state.st_mtime_ns))
        if len(found) > MAX_PICTURES:
            raise DataError(f"'{root}' has more than {MAX_PICTURES:,} files; give a folder of pictures.")
    return sorted(found)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        raise DataError(f"'{folder}' cannot be read; change its permissions or take it out.") from None


def source(root: Path) -> Source:
    """The pictures below `root`, class by class; raises `DataError` where there are no class folders."""
    layout = arranged(str(root), [name for name, _, _ in listing(root)])

    def pictures(part: str) -> Iterator[Encoded]:
        for name, label in layout.parts[part]:
            yield Encoded(str(root / name), _read(root / name), label)

    return Source(
        title=root.resolve().name,
        classes=layout.classes,
        parts={part: pictures(part) for part in layout.parts},
        count=sum(len(files) for files in layout.parts.values()),
        notes=layout.notes,
        mixed=True,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except PermissionError:
        raise DataError(f"'{path}' cannot be read; change its permissions or take it out.") from None
    except FileNotFoundError:
        raise DataError(f"'{path}' went away while it was to be read; try again.") from None
