"""In-memory registry of networks that came in as data while the program runs: uploads and `cnnviz.show`.

They exist in this process only, limited in number and bytes. The name of an upload is the hash of its
content, so that only somebody who has the file (or was given the address) can name it, and it is not listed;
networks that are shown are listed.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from cnnviz.models.outside import registration
from cnnviz.models.spec import ModelSpec

PREFIX = "handed/"
SHOWN = "shown/"
MOST = 16
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class _Entry:
    spec: ModelSpec
    size: int
    listed: bool


_entries: OrderedDict[str, _Entry] = OrderedDict()
_lock = threading.Lock()


def add_upload(data: bytes, file: str) -> ModelSpec:
    """Register an uploaded `.onnx` or `.keras` file and return its spec; `get` finds it by the spec's name.

    Raises:
        ValueError: Where the file cannot be read; one sentence.
    """
    name = f"{PREFIX}{hashlib.sha256(data).hexdigest()[:20]}"
    known = get(name)
    if known is not None:
        return known
    stem = registration.DataFile(Path(file)).stem
    spec = replace(registration.from_bytes(data, file, stem), name=name)
    _store(spec, len(data), listed=False)
    return spec


def show(spec: ModelSpec, size: int) -> None:
    """Add a network to the list of every page; one of the same name is replaced."""
    _store(spec, size, listed=True)


def get(name: str) -> ModelSpec | None:
    """Return the network of that name; None where there is none, or where it was evicted."""
    with _lock:
        entry = _entries.get(name)
        if entry is not None:
            _entries.move_to_end(name)
        return entry.spec if entry else None


def listed() -> dict[str, ModelSpec]:
    """Return the shown networks by name."""
    with _lock:
        return {name: entry.spec for name, entry in _entries.items() if entry.listed}


def _store(spec: ModelSpec, size: int, *, listed: bool) -> None:
    with _lock:
        _entries[spec.name] = _Entry(spec, size, listed)
        _entries.move_to_end(spec.name)
        while len(_entries) > 1 and (
            len(_entries) > MOST or sum(entry.size for entry in _entries.values()) > MOST_BYTES
        ):
            _entries.popitem(last=False)
