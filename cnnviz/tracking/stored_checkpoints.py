"""Checkpoints of runs in the store: written by the holder of the lease, readable from any machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from cnnviz.models.library import home
from cnnviz.tracking.records import Checkpoint, RunSummary
from cnnviz.tracking.store import Store, StoreError, folder_of, open_store, run_folder, sha256_of

CACHE_VARIABLE = "CNNVIZ_STORE_CACHE_BYTES"
CACHE_BYTES = 2 << 30
"""Maximum size of the local cache of other machines' checkpoints."""


def publish(store: Store, run: RunSummary, path: Path, step: int) -> tuple[str, str]:
    """Upload a checkpoint of the run's present attempt; return its name in the store and its SHA-256.

    It becomes visible with its database row, which only the holder of the lease can write.
    """
    digest = sha256_of(path)  # Part of the name, so that an object with a row is never overwritten.
    name = f"{folder_of(run.id, run.key)}/{path.stem}-{run.attempt}-{step}-{digest[:16]}.safetensors"
    if store.put(path, name) != digest:
        raise StoreError(f"'{path.name}' was changed while it was put into the store.")
    return name, digest


def delete_superseded(store: Store, run: RunSummary, kind: str, keep: str) -> None:
    """Delete all objects of a kind except the one in the database; objects that cannot be deleted stay."""
    try:
        for name in store.names(folder_of(run.id, run.key)):
            if name != keep and Path(name).name.startswith(f"{kind}-"):
                store.delete(name)
    except StoreError:
        return


def ensure_local(store: Store, run: RunSummary, checkpoint: Checkpoint) -> Path:
    """Return the path of a checkpoint in the run's folder, downloading it unless the digest matches."""
    path = run_folder(run.id, run.key) / checkpoint.path
    if checkpoint.stored is not None and not (path.exists() and sha256_of(path) == checkpoint.digest):
        store.get(checkpoint.stored, checkpoint.digest, path)
    return path


def checkpoint_file(run: RunSummary, checkpoint: Checkpoint, host: str | None = None) -> Path:
    """Return the path of a checkpoint: in the run's folder, or downloaded to a bounded cache.

    The path need not exist: if the run trained on another machine and there is no shared store, it does not.

    Args:
        run: The run.
        checkpoint: Its checkpoint.
        host: Name of this machine, if not its host name.

    Raises:
        StoreError: The store cannot be read.
    """
    path = run_folder(run.id, run.key) / checkpoint.path
    this_host = host or socket.gethostname()
    if checkpoint.stored is None or checkpoint.digest is None or (run.host == this_host and path.exists()):
        return path
    store = open_store()
    if store is None:
        return path
    copy = home() / "cache" / "checkpoints" / f"{checkpoint.digest}.safetensors"
    if copy.exists():
        os.utime(copy)
    else:
        store.get(checkpoint.stored, checkpoint.digest, copy)
        evict_cache(copy.parent, keep=copy)
    return copy


def evict_cache(folder: Path, keep: Path, most: int | None = None) -> None:
    """Delete the least recently used copies until the cache holds at most `most` bytes."""
    setting = os.environ.get(CACHE_VARIABLE, "")
    limit = most if most is not None else int(setting) if setting.isdigit() else CACHE_BYTES
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
        if total > limit and path != keep:
            path.unlink(missing_ok=True)
