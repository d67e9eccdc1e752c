"""Networks that came in as data while the program runs: uploads, and modules that `cnnviz.show` shows.

They are kept in this process alone, bounded in number and bytes. An upload is named by its content, so
that only who has the file (or was given the address) can name it, and stands in no list; what is shown
stands in them all.
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
class _Kept:
    spec: ModelSpec
    size: int
    listed: bool


_kept: OrderedDict[str, _Kept] = OrderedDict()
_lock = threading.Lock()


def hand_in(data: bytes, file: str) -> ModelSpec:
    """Read an uploaded `.onnx` or `.keras` file; the spec by which `get` knows it from now on.

    Raises `ValueError` in one sentence for what is not read.
    """
    name = f"{PREFIX}{hashlib.sha256(data).hexdigest()[:20]}"
    known = get(name)
    if known is not None:
        return known
    stem = registration.NamedData(Path(file)).stem
    spec = replace(registration.from_bytes(data, file, stem), name=name)
    _keep(spec, len(data), listed=False)
    return spec


def show(spec: ModelSpec, size: int) -> None:
    """List a network for every page; one of the same name is replaced."""
    _keep(spec, size, listed=True)


def get(name: str) -> ModelSpec | None:
    """The network of that name; None where there is none, or no longer."""
    with _lock:
        found = _kept.get(name)
        if found is not None:
            _kept.move_to_end(name)
        return found.spec if found else None


def listed() -> dict[str, ModelSpec]:
    """What is shown, by name."""
    with _lock:
        return {name: one.spec for name, one in _kept.items() if one.listed}


def _keep(spec: ModelSpec, size: int, *, listed: bool) -> None:
    with _lock:
        _kept[spec.name] = _Kept(spec, size, listed)
        _kept.move_to_end(spec.name)
        while len(_kept) > 1 and (len(_kept) > MOST or sum(one.size for one in _kept.values()) > MOST_BYTES):
            _kept.popitem(last=False)
