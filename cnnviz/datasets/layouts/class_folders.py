"""A folder of class folders, with `train/` and `test/` above them or without."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cnnviz.datasets.decode import MAX_BYTES
from cnnviz.datasets.encoded_store import MAX_PICTURES, Encoded, Source
from cnnviz.datasets.spec import DataError

# From a list of files to classes and parts: the rules that folders and zips share.

TRAIN = frozenset(("train", "training"))
TEST = frozenset(("test", "testing"))
VALIDATION = frozenset(("val", "valid", "validation"))
LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
EXPECTED = (
    "one folder of pictures a class, as cats/1.jpg and dogs/1.jpg, with train/ and test/ above or without"
)


MOST_FOLDERS = 10_000
"""Class folders that are read: with more, pages would be busy for long with names alone."""


class Layout(NamedTuple):
    """Classes by name, and for each part its files with their labels, in order."""

    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, int]]]
    notes: tuple[str, ...]


def arranged(where: str, files: Iterable[str]) -> Layout:
    """Sort `files` (paths with slashes, relative) into parts and classes; both in the order of their names.

    Files above the class folders (a README) are no pictures and are left out. `where` is for messages. Raises
    `DataError` where there are no class folders.
    """
    names = [name for name in sorted(files) if not LITTER & set(name.lower().split("/"))]
    tops = {name.split("/")[0].lower() for name in names if "/" in name}
    by_part: dict[str, list[str]] = {}
    if tops & TRAIN:
        notes = _parts(names, tops, by_part)
    else:
        by_part["train"], notes = [name for name in names if "/" in name], ()
    labelled = {part: _labelled(files, depth=1 if tops & TRAIN else 0) for part, files in by_part.items()}
    classes = tuple(sorted({label for files in labelled.values() for _, label in files}))
    if not classes:
        raise DataError(f"'{where}' holds no class folders with pictures; what is expected is {EXPECTED}.")
    if len(classes) > MOST_FOLDERS:
        raise DataError(
            f"'{where}' has {len(classes):,} class folders, and at most {MOST_FOLDERS:,} are read; is each "
            "picture in a folder of its own? Put all pictures of a class into one."
        )
    index_of = {label: index for index, label in enumerate(classes)}
    parts = {
        part: sorted(((name, index_of[label]) for name, label in files), key=lambda file: (file[1], file[0]))
        for part, files in labelled.items()
    }
    return Layout(
        classes,
        parts,
        (*notes, *differing({part: [f[1] for f in found] for part, found in labelled.items()})),
    )


def same_name(first: str, second: str) -> bool:
    """Whether two class names differ in case, in what is no letter or digit, or in a plural's s only."""
    normalized = (
        "".join(letter for letter in name.casefold() if letter.isalnum()).removesuffix("s")
        for name in (first, second)
    )
    return first != second and len(set(normalized)) == 1


def differing(labels: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A sentence on the classes that only one of train and test has; none where both have the same.

    `labels` are those of each part's images, as names.
    """
    if not {"train", "test"} <= set(labels):
        return ()
    train, test = set(labels["train"]), set(labels["test"])
    exclusive = {part: sorted(names) for part, names in (("training", train - test), ("test", test - train))}
    if not any(exclusive.values()):
        return ()
    text = " and ".join(f"only {part} images of {quoted(names)}" for part, names in exclusive.items() if names)
    similar = [f"'{a}' and '{b}'" for a in exclusive["training"] for b in exclusive["test"] if same_name(a, b)][:5]
    hint = f" Perhaps {', '.join(similar)} are one class, written differently." if similar else ""
    return (f"The parts are not of the same classes: there are {text}.{hint}",)


def quoted(names: list[str]) -> str:
    """Up to five names, and how many more there are."""
    remainder = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + remainder


def _labelled(files: list[str], depth: int) -> list[tuple[str, str]]:
    return [(name, name.split("/")[depth]) for name in files if name.count("/") > depth]


def _parts(names: list[str], tops: set[str], by_part: dict[str, list[str]]) -> tuple[str, ...]:
    """Fill `below` by the uppermost folder; what lies beside train/ and test/ is told of."""
    test = TEST if tops & TEST else VALIDATION
    by_part["train"] = [name for name in names if name.lower().split("/")[0] in TRAIN]
    if tops & test:
        by_part["test"] = [name for name in names if name.lower().split("/")[0] in test]
    notes = []
    if tops & VALIDATION and not tops & TEST:
        notes.append("There is no test/: the validation folder serves as the test part.")
    unused = sorted(tops - TRAIN - (test & tops))
    if unused:
        notes.append(f"Not used, as it lies beside train/: {', '.join(f'{name}/' for name in unused[:5])}.")
    return tuple(notes)


DEEPEST = 8
"""Folders below the one that was given."""


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Every file below `root`: path with slashes, bytes, time of change; sorted, hidden ones left out.

    Raises `DataError` for a symbolic link, a folder too deep, and too many files.
    """
    entries: list[tuple[str, int, int]] = []
    stack = [("", root)]
    while stack:
        prefix, folder = stack.pop()
        for entry in _scan(folder):
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_symlink():
                raise DataError(f"'{root / name}' is a link; put the file or folder itself in its place.")
            if entry.is_dir():
                if name.count("/") >= DEEPEST:
                    raise DataError(f"'{root / name}' lies more than {DEEPEST} folders deep; move it up.")
                stack.append((f"{name}/", folder / entry.name))
            elif entry.is_file():
                state = entry.stat()
                entries.append((name, state.st_size, state.st_mtime_ns))
        if len(entries) > MAX_PICTURES:
            raise DataError(f"'{root}' has more than {MAX_PICTURES:,} files; give a folder of pictures.")
    return sorted(entries)


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
