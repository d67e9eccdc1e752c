"""Class-folder layout: one folder per class, optionally below `train/` and `test/`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cnnviz.datasets.decode import MAX_BYTES
from cnnviz.datasets.encoded_store import MAX_PICTURES, Encoded, Source
from cnnviz.datasets.spec import DataError

# Rules shared by folders and zips: from a list of files to classes and parts.

TRAIN = frozenset(("train", "training"))
TEST = frozenset(("test", "testing"))
VALIDATION = frozenset(("val", "valid", "validation"))
LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
EXPECTED = (
    "one folder of images a class, as cats/1.jpg and dogs/1.jpg, with train/ and test/ above or without"
)


MAX_FOLDERS = 10_000
"""Maximum number of class folders: with more, pages would be slow with the names alone."""


class Layout(NamedTuple):
    """Class names, and the files of each part with their labels, in order."""

    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, int]]]
    notes: tuple[str, ...]


def arrange_files(where: str, files: Iterable[str]) -> Layout:
    """Arrange `files` (relative paths with slashes) by part and class, both ordered by name.

    Files above the class folders (a README) are ignored. `where` is the name of the data in messages.

    Raises:
        DataError: Where there are no class folders.
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
        raise DataError(f"'{where}' holds no class folders with images; what is expected is {EXPECTED}.")
    if len(classes) > MAX_FOLDERS:
        raise DataError(
            f"'{where}' has {len(classes):,} class folders, and at most {MAX_FOLDERS:,} are read; is each "
            "image in a folder of its own? Put all images of a class into one."
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
    """Return whether two class names differ only in case, punctuation or a plural's s."""
    normalized = (
        "".join(letter for letter in name.casefold() if letter.isalnum()).removesuffix("s")
        for name in (first, second)
    )
    return first != second and len(set(normalized)) == 1


def differing(labels: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Describe the classes that only one of train and test has, in a sentence; empty where both are equal.

    `labels` are the class names of each part's images.
    """
    if not {"train", "test"} <= set(labels):
        return ()
    train, test = set(labels["train"]), set(labels["test"])
    exclusive = {part: sorted(names) for part, names in (("training", train - test), ("test", test - train))}
    if not any(exclusive.values()):
        return ()
    text = " and ".join(
        f"only {part} images of {quoted(names)}" for part, names in exclusive.items() if names
    )
    similar = [
        f"'{a}' and '{b}'" for a in exclusive["training"] for b in exclusive["test"] if same_name(a, b)
    ][:5]
    hint = f" Perhaps {', '.join(similar)} are one class, written differently." if similar else ""
    return (f"The parts are not of the same classes: there are {text}.{hint}",)


def quoted(names: list[str]) -> str:
    """Join up to five names in quotes, with the number of further ones."""
    remainder = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + remainder


def _labelled(files: list[str], depth: int) -> list[tuple[str, str]]:
    return [(name, name.split("/")[depth]) for name in files if name.count("/") > depth]


def _parts(names: list[str], tops: set[str], by_part: dict[str, list[str]]) -> tuple[str, ...]:
    """Fill `by_part` by top-level folder; return notes on folders that are not used."""
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
"""Maximum depth of folders below the given one."""


def listing(root: Path) -> list[tuple[str, int, int]]:
    """List all files below `root` as (path with slashes, bytes, mtime in ns), sorted, without hidden ones.

    Raises:
        DataError: For a symbolic link, too deep a folder, or too many files.
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
            raise DataError(f"'{root}' has more than {MAX_PICTURES:,} files; give a folder of images.")
    return sorted(entries)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        raise DataError(f"'{folder}' cannot be read; change its permissions or take it out.") from None


def source(root: Path) -> Source:
    """Return the images below `root` by class; raise `DataError` where there are no class folders."""
    layout = arrange_files(str(root), [name for name, _, _ in listing(root)])

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
