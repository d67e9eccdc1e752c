"""Memory of processes as if nothing else ran on the machine, by mapping: pages of Linux's page map.

PSS divides a page by the number of all processes that map it, so another process with torch, a training for
instance, makes an app look smaller by up to 150 MB. Here a page is divided only by the processes of the app
that map it: what a machine would need that runs nothing else. Frame numbers are shown to root alone; anybody
else gets PSS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

PAGE = 4096
MB = 1e6
KINDS = (
    ("CUDA libraries", re.compile(r"/nvidia/|/triton/|/cuda/|lib(torch|c10)_cuda|libcu[a-z]+\.so|libnv")),
    ("torch libraries", re.compile(r"/torch(vision)?/|libgomp")),
    ("other files", re.compile(r"^/")),
)
ANONYMOUS = "Python objects, heap, stacks"

Frames = dict[str, "np.ndarray[Any, np.dtype[np.uint64]]"]


@dataclass(frozen=True)
class Footprint:
    """Megabytes (10⁶ bytes) of an app's process, alone on the machine, and of all its processes.

    Attributes:
        app: The app's process; what it shares with its children counts by its part.
        tree: The process and its children.
        kinds: Parts of `app` by mapping.
        pss: The kernel's PSS of the process, which divides by every process on the machine.
        by_pss: `app` and `tree` are PSS too, since frame numbers are hidden.
    """

    app: float
    tree: float
    kinds: dict[str, float] = field(default_factory=dict)
    pss: float = 0.0
    by_pss: bool = False


def measure(process: psutil.Process) -> Footprint:
    """Measure a process and its children; children that end meanwhile are left out."""
    own = _pss(process.pid)
    children = process.children(recursive=True)
    mapped = _frames(process.pid)
    if mapped is None:
        others = sum(_pss(child.pid) for child in children)
        return Footprint(app=own, tree=own + others, pss=own, by_pss=True)
    trees = [found for child in children if (found := _frames(child.pid)) is not None]
    each = [np.unique(np.concatenate([*frames.values(), _NONE])) for frames in (mapped, *trees)]
    numbers, users = np.unique(np.concatenate(each), return_counts=True)
    kinds: dict[str, float] = {}
    seen = _NONE
    for kind, frames in mapped.items():
        new = np.setdiff1d(frames, seen)
        seen = np.union1d(seen, new)
        kinds[kind] = float((PAGE / users[np.searchsorted(numbers, new)]).sum()) / MB
    return Footprint(app=sum(kinds.values()), tree=len(numbers) * PAGE / MB, kinds=dict(kinds), pss=own)


_NONE = np.empty(0, dtype=np.uint64)
_PRESENT, _FRAME = np.uint64(1 << 63), np.uint64((1 << 55) - 1)


def _frames(pid: int) -> Frames | None:
    """Frame numbers of a process by kind of mapping; None where they are hidden or the process has ended."""
    parts: dict[str, list[np.ndarray[Any, np.dtype[np.uint64]]]] = {}
    try:
        with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                bounds, _, _, _, _, *rest = line.split(maxsplit=5)
                path = rest[0] if rest else ""
                if path in ("[vsyscall]", "[vvar]", "[vvar_vclock]", "[vdso]"):
                    continue
                low, high = (int(bound, 16) // PAGE for bound in bounds.split("-"))
                pagemap.seek(low * 8)
                entries = np.frombuffer(_read(pagemap, (high - low) * 8), dtype=np.uint64)
                present = entries[entries & _PRESENT != 0] & _FRAME
                if len(present) and not present.any():
                    return None
                parts.setdefault(_kind(path), []).append(np.unique(present))
    except (OSError, psutil.Error):
        return None
    return {kind: np.unique(np.concatenate(arrays)) for kind, arrays in parts.items()}


def _read(file: Any, length: int) -> bytes:
    parts = []
    while length > 0 and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _kind(path: str) -> str:
    return next((name for name, pattern in KINDS if pattern.search(path)), ANONYMOUS)


def _pss(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else 0.0
