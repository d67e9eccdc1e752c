"""Facts and arrays in one piece of bytes: Streamlit hands raw bytes to a component only on their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

ALIGNED = 8
"""Arrays begin at multiples of so many bytes, so that a browser reads them where they lie."""


def packet(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """What `unpack` of packet.js reads: the facts, the arrays little-endian in C order, and a digest of all.

    Raises `ValueError` for facts that JSON cannot hold (it has no NaN), `TypeError` for other numbers.
    """
    parts, table, at = [], {}, 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        table[name] = {"kind": _kind(array), "shape": array.shape, "at": at, "bytes": len(raw)}
        padded = raw + b"\0" * (-len(raw) % ALIGNED)
        parts.append(padded)
        at += len(padded)
    body = b"".join(parts)
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    head = json.dumps({"facts": facts, "arrays": table, "digest": digest}, allow_nan=False).encode()
    head += b" " * (-(len(head) + 4) % ALIGNED)
    return len(head).to_bytes(4, "little") + head + body


def _kind(array: np.ndarray[Any, Any]) -> str:
    name = array.dtype.name
    if name not in ("uint8", "int32", "float16", "float32"):
        raise TypeError(f"a packet holds uint8, int32, float16 or float32, not {name}")
    return str(name)
