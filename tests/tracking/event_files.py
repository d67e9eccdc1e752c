"""TensorBoard event files, written by the format's description: no TensorBoard is needed."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from cnnviz.formats.event_file_worker import masked_crc


def record(data: bytes) -> bytes:
    """A record with its checks."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def message(number: int, data: bytes) -> bytes:
    """A field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number, seven bits a byte."""
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def event(step: int, tag: str, value: float, *, tensor: bool = False) -> bytes:
    """An event with one scalar, as TensorFlow 1 and PyTorch write it, or as TensorFlow 2 does."""
    held = (
        message(8, varint(1 << 3) + varint(1) + message(2, b"") + message(5, struct.pack("<f", value)))
        if tensor
        else varint(2 << 3 | 5) + struct.pack("<f", value)
    )
    summary = message(5, message(1, message(1, tag.encode()) + held))
    return varint(1 << 3 | 1) + struct.pack("<d", 1.7e9) + varint(2 << 3) + varint(step) + summary


def write(path: Path, events: Iterable[bytes]) -> Path:
    """A file of these events, after the one that names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(record(message(3, b"brain.Event:2")) + b"".join(map(record, events)))
    return path
