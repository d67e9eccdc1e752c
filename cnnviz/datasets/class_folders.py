"""Class-folder layout: one folder per class, optionally below `train/` and `test/`, in a folder or in a zip.

A zip is read without extraction, so that no member's path is ever written.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from cnnviz.datasets.encoded_store import MAX_BYTES, MAX_PICTURES, Encoded, Source
from cnnviz.datasets.spec import DataError
from cnnviz.formats.headers import directory_bytes

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


MAX_UNPACKED = 64 << 30
MAX_RATIO = 200
"""Maximum ratio of unpacked to packed size; images are already compressed."""
MAX_MEMBERS = 250_000
"""Maximum number of members: the central directory is parsed as a whole before anything else."""
MAX_DIRECTORY = 48 << 20
"""Maximum bytes of the central directory: 200 per member, where a path with its dates needs about 130."""
MEMBER = b"PK\x01\x02"
"""Signature of a member's entry in the central directory."""
END_BYTES = 66_000
"""Bytes after the central directory: a comment has at most 65,535, the end records 98."""
METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


class Archive:
    """Zip archive whose members are read by name, without the folder that contains everything.

    Args:
        where: Name of the zip in messages.
        file: Its path, or the file itself, opened in binary mode.

    Raises:
        DataError: For a file that is no zip or is encrypted, for links, for paths that lead outside, or for
            implausible sizes.
    """

    def __init__(self, where: str, file: Path | IO[bytes]) -> None:
        self.where = where
        self._check_directory(file)
        try:
            self._archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DataError(f"'{where}' is not a zip that can be read ({error}); pack it again.") from error
        members = {self._name(info): info for info in self._archive.infolist() if not info.is_dir()}
        self._check_size(_size(file))
        visible = [name for name in members if not _hidden(name)]
        prefix_length = _wrapper(visible)
        self.prefix = next((name[:prefix_length] for name in visible if "/" in name), "")
        self._members = {
            name[prefix_length:]: members[name] for name in visible if name.startswith(self.prefix)
        }

    @property
    def names(self) -> list[str]:
        """Names of the files that are not hidden, in the archive's order."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Return the size of a member in bytes, as stated in the zip."""
        return self._members[name].file_size

    def read(self, name: str) -> bytes:
        """Read a member; raise `DataError` for a damaged one and for more bytes than an image may have."""
        info, label = self._members[name], f"{self.where}/{self._members[name].filename}"
        if info.file_size > MAX_BYTES:
            raise DataError(
                f"'{label}' has {info.file_size / 1e6:,.0f} MB; an image has at most {MAX_BYTES >> 20} MiB."
            )
        try:
            with self._archive.open(info) as member:
                return member.read(MAX_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"'{label}' is damaged ({error}); pack it again.") from error

    def _name(self, info: zipfile.ZipInfo) -> str:
        """Return the member's name; raise `DataError` for one that a zip of images should not have."""
        name = info.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise DataError(
                f"'{self.where}' has a member that leads out of it ({name[:80]!r}); pack it again without."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"'{self.where}' has a link in it ({name[:80]!r}); pack the file itself.")
        if info.flag_bits & 1:
            raise DataError(f"'{self.where}' is encrypted; pack it again without a password.")
        if info.compress_type not in METHODS:
            raise DataError(
                f"'{self.where}' is compressed in a way that is not read; pack it again with 'deflate'."
            )
        return name

    def _check_directory(self, file: Path | IO[bytes]) -> None:
        """Limit the central directory before `zipfile` parses it into one object per member."""
        try:
            length = directory_bytes(file)
            members = _listed_members(file, length) if length <= MAX_DIRECTORY else 0
        except OSError:
            return  # `zipfile` reports the error.
        if length > MAX_DIRECTORY:
            raise DataError(
                f"'{self.where}' has a list of its files of {length / 1e6:,.0f} MB, and that of a zip of "
                f"images has at most {MAX_DIRECTORY / 1e6:,.0f} MB; unpack it and give the folder, or use "
                "Parquet."
            )
        self._check_count(members)

    def _check_count(self, members: int) -> None:
        if members > MAX_MEMBERS:
            raise DataError(
                f"'{self.where}' has {members:,} files in it, and a zip of images has at most "
                f"{MAX_MEMBERS:,}; unpack it and give the folder, or use Parquet."
            )

    def _check_size(self, packed_size: int) -> None:
        entries = self._archive.infolist()
        self._check_count(len(entries))
        unpacked_size = sum(info.file_size for info in entries)
        if unpacked_size > min(MAX_UNPACKED, max(MAX_BYTES, MAX_RATIO * packed_size)):
            size = f"{unpacked_size / 1e6:,.0f} MB in {len(entries):,} files"
            raise DataError(
                f"'{self.where}' would unpack to {size}, too much for a zip of {packed_size / 1e6:,.1f} MB; "
                "give the folder instead."
            )


def source_of_zip(path: Path) -> Source:
    """Return the images of the zip by class.

    Raises:
        DataError: As `Archive`, and where the images are not in class folders.
    """
    archive = Archive(str(path), path)
    layout = arrange_files(str(path), archive.names)

    def pictures(part: str) -> Iterator[Encoded]:
        for name, label in layout.parts[part]:
            yield Encoded(f"{path}/{archive.prefix}{name}", archive.read(name), label)

    return Source(
        title=path.stem,
        classes=layout.classes,
        parts={part: pictures(part) for part in layout.parts},
        count=sum(len(files) for files in layout.parts.values()),
        notes=layout.notes,
        mixed=True,
    )


def _size(file: Path | IO[bytes]) -> int:
    if isinstance(file, Path):
        return file.stat().st_size
    return file.seek(0, os.SEEK_END)


def _listed_members(file: Path | IO[bytes], length: int) -> int:
    """Count the entries in a central directory of `length` bytes, at the end of the file, without parsing.

    The zip also states their number, but `zipfile` parses what is there rather than what is stated.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return _listed_members(opened, length)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - length - END_BYTES))
    count = file.read().count(MEMBER)
    file.seek(0)
    return count


def _hidden(name: str) -> bool:
    parts = name.lower().split("/")
    return any(part.startswith(".") or part in LITTER for part in parts)


def _wrapper(names: list[str]) -> int:
    """Return the length of the common top-level folder, which most programs add when they create a zip."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    inside = {name.split("/")[1].lower() for name in names if name.count("/") >= 2}
    return len(next(iter(tops))) + 1 if len(tops) == 1 and (len(inside) > 1 or inside & TRAIN) else 0
