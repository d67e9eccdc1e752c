"""Event-file worker: reads the scalars of a TensorBoard event file, `event_file_worker.py MEMORY FILE`.

It runs in its own process. A file is a sequence of records: length (uint64), its masked CRC-32C, data, their
masked CRC-32C; the data are a protocol buffer `Event` (tensorflow/core/util/event.proto). Only scalars are
read: `simple_value`, and tensors of one float32 or float64. Records too large for scalars are skipped by
their length. A line of JSON is written to stdout, `{"scalars": [[tag, step, value], …], "damaged": bytes
after the last valid record}`. Only the standard library is imported.
"""

import contextlib
import json
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

LARGEST = 1 << 16
"""Maximum bytes of a record with scalars; of larger ones (images, graphs) only the length is read."""
MAX_SCALARS = 1_000_000
LONGEST_TAG = 200
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, DOUBLE = 1, 2


def crc_table() -> list[int]:
    """Compute the table of CRC-32C (Castagnoli), reflected polynomial 0x82f63b78."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def masked_crc(data: bytes) -> int:
    """Compute the CRC-32C of data, rotated and offset as in TensorFlow's record format."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the position after each record, and its data (empty for a large one), up to the first damage."""
    while len(head := file.read(12)) == 12:
        length, check = struct.unpack("<QI", head)
        if masked_crc(head[:8]) != check or length > size - file.tell() - 4:
            return
        if length > LARGEST:
            file.seek(length + 4, 1)
            yield file.tell(), b""
            continue
        data, end = file.read(length), file.read(4)
        if len(end) < 4 or struct.unpack("<I", end)[0] != masked_crc(data):
            return
        yield file.tell(), data


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Yield number, wire type and value of a message's fields; raise `ValueError` for invalid data."""
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        kind = key & 7
        if kind == VARINT:
            value, position = varint(data, position)
            yield key >> 3, kind, value
            continue
        if kind == BYTES:
            size, position = varint(data, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("no such wire type")
        if position + size > len(data):
            raise ValueError("a field ends behind its message")
        yield key >> 3, kind, data[position : position + size]
        position += size


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode a base-128 varint; return the value and the position after it."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position
        shift += 7
    raise ValueError("a number without an end")


def scalars(data: bytes) -> Iterator[tuple[str, int, float]]:
    """Yield tag, step and value of each scalar in an event."""
    event_fields = list(fields(data))
    step = next((value for number, kind, value in event_fields if (number, kind) == (2, VARINT)), 0)
    for number, kind, summary in event_fields:
        if (number, kind) != (5, BYTES):
            continue
        for inner, wire, content in fields(summary):
            if (inner, wire) == (1, BYTES):
                tag, value = scalar(content)
                if value is not None:
                    yield tag, step, value


def scalar(data: bytes) -> tuple[str, float | None]:
    """Decode tag and value of a `Summary.Value`; the value is None where it is no scalar."""
    tag, value = "", None
    for number, kind, content in fields(data):
        if (number, kind) == (1, BYTES):
            tag = content.decode(errors="replace")[:LONGEST_TAG]
        elif (number, kind) == (2, FIXED32):
            value = struct.unpack("<f", content)[0]
        elif (number, kind) == (8, BYTES):
            value = tensor(content)
    return tag, value


def tensor(data: bytes) -> float | None:
    """Decode a `TensorProto` of one float; None for any other."""
    kind, values, size = 0, [], 1
    for number, wire, content in fields(data):
        if (number, wire) == (1, VARINT):
            kind = content
        elif (number, wire) == (2, BYTES):
            for inner, inner_wire, dimension in fields(content):
                if (inner, inner_wire) == (2, BYTES):
                    size *= next((v for n, w, v in fields(dimension) if (n, w) == (1, VARINT)), 0)
        elif number in (4, 5, 6) and wire in (BYTES, FIXED32, FIXED64):
            values.append(content)
    content = values[0] if len(values) == 1 and size == 1 else b""
    if kind == FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    return float(struct.unpack("<d", content)[0]) if kind == DOUBLE and len(content) == 8 else None


def read(path: str) -> dict[str, Any]:
    """Read the scalars of a file, and the number of bytes at its end that could not be read."""
    scalar_values: list[tuple[str, int, float]] = []
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        valid_end = 0
        for position, data in records(file, size):
            with contextlib.suppress(ValueError):
                scalar_values.extend(scalars(data))
            valid_end = position
            if len(scalar_values) > MAX_SCALARS:
                return {"refused": f"more than {MAX_SCALARS:,} scalars"}
    return {"scalars": scalar_values, "damaged": size - valid_end, "whole": valid_end > 0}


def limit_memory(max_bytes: int) -> None:
    """Limit this process to a number of bytes, where the system supports it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    try:
        print(json.dumps(read(sys.argv[2])))
    except MemoryError:
        print(json.dumps({"refused": "more than fits in memory"}))
