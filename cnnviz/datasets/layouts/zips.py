"""A zip of class folders, read where it lies: nothing is unpacked, so no name in it leads elsewhere."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cnnviz.datasets.decode import MAX_BYTES
from cnnviz.datasets.encoded_store import Encoded, Source
from cnnviz.datasets.layouts.class_folders import LITTER, TRAIN, arranged
from cnnviz.datasets.spec import DataError
from cnnviz.formats.zip_directory import directory_bytes

MAX_UNPACKED = 64 << 30
MAX_RATIO = 200
"""Of all that is in it to the file; pictures are compressed already."""
MAX_MEMBERS = 250_000
"""Of a zip: its list is parsed whole before anything in it can be looked at."""
MAX_DIRECTORY = 48 << 20
"""Bytes of that list: 200 for each of `MAX_MEMBERS`, where a path with its dates takes some 130."""
MEMBER = b"PK\x01\x02"
"""How every member's entry in that list begins."""
END_BYTES = 66_000
"""After the list: a comment has at most 65,535, and the records of where the list lies 98."""
METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


class Archive:
    """A zip's members by name, the folder around everything left out; read one by one.

    Args:
        where: What the zip is called in messages.
        file: Its path, or the file itself, opened in binary mode.

    Raises `DataError` for what is no zip, or encrypted, or holds links, names that lead out of it, or far
    more than such a file can honestly hold.
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
        self._members = {name[prefix_length:]: members[name] for name in visible if name.startswith(self.prefix)}

    @property
    def names(self) -> list[str]:
        """Every file that is not hidden, as it is packed."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Bytes of a member, as the zip states them."""
        return self._members[name].file_size

    def read(self, name: str) -> bytes:
        """The bytes of a member; raises `DataError` for damage and for more than a picture may have."""
        info, label = self._members[name], f"{self.where}/{self._members[name].filename}"
        if info.file_size > MAX_BYTES:
            raise DataError(
                f"'{label}' has {info.file_size / 1e6:,.0f} MB; a picture has at most {MAX_BYTES >> 20} MiB."
            )
        try:
            with self._archive.open(info) as member:
                return member.read(MAX_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"'{label}' is damaged ({error}); pack it again.") from error

    def _name(self, info: zipfile.ZipInfo) -> str:
        """The member's name, if it is one that a zip of pictures has."""
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
        """Bound the list of members before it is parsed: `zipfile` makes an object of each."""
        try:
            length = directory_bytes(file)
            members = _listed_members(file, length) if length <= MAX_DIRECTORY else 0
        except OSError:
            return  # `zipfile` says what is wrong.
        if length > MAX_DIRECTORY:
            raise DataError(
                f"'{self.where}' has a list of its files of {length / 1e6:,.0f} MB, and that of a zip of "
                f"pictures has at most {MAX_DIRECTORY / 1e6:,.0f} MB; unpack it and give the folder, or use "
                "Parquet."
            )
        self._check_count(members)

    def _check_count(self, members: int) -> None:
        if members > MAX_MEMBERS:
            raise DataError(
                f"'{self.where}' has {members:,} files in it, and a zip of pictures has at most "
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


def source(path: Path) -> Source:
    """The pictures in the zip, class by class.

    Raises `DataError` as `Archive` does, and where the pictures do not lie in class folders.
    """
    archive = Archive(str(path), path)
    layout = arranged(str(path), archive.names)

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
    """Count the entries in a zip's list of `length` bytes, which is at its end, without parsing them.

    How many there are stands there too, but `zipfile` parses what it finds, not what is stated.
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
    """Length of the one folder around everything, which most programs add when they pack."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    inside = {name.split("/")[1].lower() for name in names if name.count("/") >= 2}
    return len(next(iter(tops))) + 1 if len(tops) == 1 and (len(inside) > 1 or inside & TRAIN) else 0
