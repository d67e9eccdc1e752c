"""Checkpoints of runs in the store: published by the worker that holds the lease, read by any machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from cnnviz.models.library import home
from cnnviz.tracking.records import Checkpoint, RunSummary
from cnnviz.tracking.store import Store, StoreError, folder_of, open_store, run_folder, sha256_of

CACHE_VARIABLE = "CNNVIZ_STORE_CACHE_BYTES"
CACHE_BYTES = 2 << 30
"""What copies of checkpoints of other machines take at most on this one."""


def publish(store: Store, run: RunSummary, path: Path, step: int) -> tuple[str, str]:
    """Put a checkpoint of the run's present attempt into the store; return its name there and its SHA-256.

    Nobody reads it before its row is written, which only the holder of the lease can.
    """
    digest = sha256_of(path)  # In the name too: another content never takes the place of what a row names.
    name = f"{folder_of(run.id, run.key)}/{path.stem}-{run.attempt}-{step}-{digest[:16]}.safetensors"
    if store.put(path, name) != digest:
        raise StoreError(f"'{path.name}' was changed while it was put into the store.")
    return name, digest


def sweep(store: Store, run: RunSummary, kind: str, keep: str) -> None:
    """Remove every object of a kind but the one that the database names; what cannot be removed stays."""
    try:
        for name in store.names(folder_of(run.id, run.key)):
            if name != keep and Path(name).name.startswith(f"{kind}-"):
                store.delete(name)
    except StoreError:
        return


def bring(store: Store, run: RunSummary, known: Checkpoint) -> Path:
    """Have a checkpoint in the run's folder as the database knows it, from the store unless it is there."""
    path = run_folder(run.id, run.key) / known.path
    if known.stored is not None and not (path.exists() and sha256_of(path) == known.digest):
        store.get(known.stored, known.digest, path)
    return path


def checkpoint_file(run: RunSummary, known: Checkpoint, host: str | None = None) -> Path:
    """Where a page reads a checkpoint: in the run's folder, or a copy from the store in a bounded cache.

    The path need not exist: it does not where the run trained on another machine and no store is shared.
    Raises `StoreError` where the store cannot be read.

    Args:
        run: The run.
        known: Its checkpoint.
        host: This machine, by its own name by default.
    """
    path = run_folder(run.id, run.key) / known.path
    here = host or socket.gethostname()
    if known.stored is None or known.digest is None or (run.host == here and path.exists()):
        return path
    store = open_store()
    if store is None:
        return path
    copy = home() / "cache" / "checkpoints" / f"{known.digest}.safetensors"
    if copy.exists():
        os.utime(copy)
    else:
        store.get(known.stored, known.digest, copy)
        bound_cache(copy.parent, keep=copy)
    return copy


def bound_cache(folder: Path, keep: Path, most: int | None = None) -> None:
    """Remove the copies that were not read for longest until they take at most so many bytes."""
    given = os.environ.get(CACHE_VARIABLE, "")
    bound = most if most is not None else int(given) if given.isdigit() else CACHE_BYTES
    copies = []
    for path in folder.glob("*.safetensors"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        copies.append((path != keep, -state.st_mtime, state.st_size, path))
    total = 0
    for _, _, size, path in sorted(copies):
        total += size
        if total > bound and path != keep:
            path.unlink(missing_ok=True)
