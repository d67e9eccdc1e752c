"""Size of a zip's central directory, to limit it before `zipfile` reads all of it into memory.

`zipfile.ZipFile` creates an object of some 500 bytes per entry. The directory's length is stored at the end
of the file; only that is read here.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import IO

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
