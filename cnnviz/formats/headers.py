"""Headers and directories of files, read with limits before anything parses them: safetensors and zip.

A safetensors header is JSON of any length with any number of tensors; parsing a malicious one takes minutes
and gigabytes. `header_length` reads eight bytes and refuses what is too long. `check_header` has a child
process with limited memory and time parse the rest (`python headers.py FILE`), so that the readers in this
process only open small headers.

`zipfile.ZipFile` creates an object of some 500 bytes per entry. The length of a zip's directory is stored at
the end of the file; only that is read here. Standard library only: the child must start quickly.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

MAX_HEADER = 24 << 20
"""Bytes. A mean image of 3×1024×1024, which our cards may contain, takes 16 MiB.

Names of 10,000 tensors one.
"""
MAX_TENSORS = 10_000
"""Torchvision's largest networks have some 2,000 tensors, Adam's state three times that."""
MAX_COMMAS = 500_000
"""Each tensor has about eight, and our metadata one per class; each is an object in the parser."""
MAX_RANK = 16
CHILD_MEMORY = 144 << 20
"""Memory of the child beyond its initial size: a header as bytes, as text and as values."""
CHILD_SECONDS = 20.0
"""A header of 24 MiB takes less than one second on an idle core."""
PAGE = 4096


class HeaderError(ValueError):
    """Error for a header that cannot be read; the message is the end of a sentence, without a full stop."""


def header_length(path: Path) -> int:
    """Return the length of a safetensors header, limited by `MAX_HEADER` and the file's size.

    Raises:
        HeaderError: For a longer header, and for a file of another type.
        OSError: For a file that cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if len(start) < 8:
        raise HeaderError("is too short for safetensors")
    (length,) = struct.unpack("<Q", start)
    if not 2 <= length <= path.stat().st_size - 8:
        raise HeaderError(
            "is not a safetensors file, or a damaged one: its header does not fit into the file"
        )
    if length > MAX_HEADER:
        raise HeaderError(
            f"has a header of {length / 1e6:,.0f} MB, and at most {MAX_HEADER >> 20} MiB are read"
        )
    return int(length)


def check_header(path: Path, seconds: float = CHILD_SECONDS) -> None:
    """Validate the header of an untrusted file in a bounded child process.

    Raises:
        HeaderError: For a header that is too long, invalid, or has too many tensors.
        OSError: For a file that cannot be read.
    """
    header_length(path)
    command = [sys.executable, "-I", str(Path(__file__)), str(path.resolve())]
    try:
        completed = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise HeaderError(f"has a header that took more than {seconds:g} s to read") from None
    problem = completed.stdout.decode("utf-8", "replace").strip() if completed.returncode == 0 else ""
    if problem != "fits":
        raise HeaderError(problem or "has a header that made its reader fail")


def header_problem(header: bytes) -> str:
    """Return why a header is invalid, as the end of a sentence; empty where it is valid.

    Tensors are counted before the JSON is parsed, and again afterwards, since JSON can encode a name in many
    ways.
    """
    if header.count(b'"data_offsets"') > MAX_TENSORS:
        return _too_many(header.count(b'"data_offsets"'))
    if header.count(b",") > MAX_COMMAS:
        return "has a header that holds far more than names and shapes"
    try:
        document = json.loads(header)
    except MemoryError:
        return "has a header that takes more memory than one of its length should"
    except (ValueError, RecursionError) as error:
        return f"is damaged safetensors: its header is not JSON ({str(error)[:80]})"
    if not isinstance(document, dict):
        return "is damaged safetensors: its header is no JSON object"
    details = document.pop("__metadata__", None)
    if details is not None and not _is_text(details):
        return "is damaged safetensors: its metadata are not text"
    if len(document) > MAX_TENSORS:
        return _too_many(len(document))
    invalid = next((name for name, entry in document.items() if not _is_entry(entry)), None)
    return "" if invalid is None else f"is damaged safetensors: {invalid[:80]!r} does not describe a tensor"


def _too_many(count: int) -> str:
    return f"names {count:,} tensors, and at most {MAX_TENSORS:,} are read"


def _is_text(details: Any) -> bool:
    return isinstance(details, dict) and all(isinstance(value, str) for value in details.values())


def _is_entry(entry: Any) -> bool:
    if not (isinstance(entry, dict) and isinstance(entry.get("dtype"), str)):
        return False
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    return (
        isinstance(shape, list)
        and len(shape) <= MAX_RANK
        and isinstance(offsets, list)
        and len(offsets) == 2
        and all(isinstance(number, int) for number in (*shape, *offsets))
    )


def _limit_memory(extra: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        with open("/proc/self/statm") as file:
            current = int(file.read().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (current + extra, current + extra))


def _main(path: Path) -> None:
    _limit_memory(CHILD_MEMORY)
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = file.read(min(length, MAX_HEADER))
    print(header_problem(header) or "fits")


END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END, _END64, _LOCATOR64 = 22, 56, 20
LONGEST_COMMENT = 0xFFFF


def directory_bytes(file: Path | IO[bytes]) -> int:
    """Return the length of a zip's central directory in bytes, the greater where two records disagree.

    0 for a file that is no zip, which `zipfile` reports. The position in an open file is preserved.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return _directory_bytes(opened)
    position = file.tell()
    try:
        return _directory_bytes(file)
    finally:
        file.seek(position)


def _directory_bytes(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    tail = min(size, LONGEST_COMMENT + _END + _LOCATOR64 + _END64)
    file.seek(size - tail)
    data = file.read(tail)
    # A comment may contain the same four bytes: the maximum over all candidate records is a valid bound.
    result = [0]
    position = data.find(END)
    while position >= 0:
        if len(data) - position >= _END:
            result.append(struct.unpack_from("<L", data, position + 12)[0])
            result += _directory64(file, data, position)
        position = data.find(END, position + 1)
    # 0xFFFFFFFF refers to the 64-bit record; a length beyond the file is invalid.
    return max(length for length in result if length <= size)


def _directory64(file: IO[bytes], data: bytes, end: int) -> list[int]:
    start = end - _LOCATOR64
    if start < 0 or data[start : start + 4] != LOCATOR64:
        return []
    result = []
    for record in (start - _END64, None):
        if record is None:
            (offset,) = struct.unpack_from("<Q", data, start + 8)
            if offset >= 1 << 62:
                continue
            file.seek(offset)
            read = file.read(_END64)
        else:
            read = data[max(record, 0) : start]
        if len(read) == _END64 and read.startswith(END64):
            result.append(struct.unpack_from("<Q", read, 40)[0])
    return result


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
