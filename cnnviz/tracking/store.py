"""Checkpoint store (a folder or an fsspec URL), and the folder and deletion of a run.

`CNNVIZ_STORE` is a folder (for example on NFS) or a URL: `file:///folder`, `s3://bucket/folder`. S3 is
accessed with pyarrow, with credentials from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and the
like). The URL is configuration: it is never part of a page, link, recipe or message.

The name of a run's object includes the attempt that wrote it. Its database row is written with the lease, so
a worker that has lost its lease cannot publish, and holds the SHA-256 that is verified before any read.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from sqlalchemy import delete, or_, select

from cnnviz.models.library import home
from cnnviz.tracking.database import Database, TrackingError, WrongStateError
from cnnviz.tracking.limits import require_owner, writable_rows
from cnnviz.tracking.records import Checkpoint, Lease
from cnnviz.tracking.states import ACTIVE
from cnnviz.tracking.tables import CheckpointRow, MetricRow, RunRow
from cnnviz.tracking.transitions import lock_run, require_lease

VARIABLE = "CNNVIZ_STORE"
PROTOCOLS = ("file", "memory", "s3")
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class StoreError(TrackingError):
    """The store cannot be accessed, or an object does not match the database."""


@dataclass(frozen=True)
class Store:
    """Object store on an fsspec file system. Thread-safe."""

    filesystem: Any = field(repr=False)
    root: str = field(repr=False)
    protocol: str

    def put(self, path: Path, name: str) -> str:
        """Upload a file atomically and return its SHA-256; raise `StoreError`."""
        target = self._place(name)
        # S3 creates objects atomically; elsewhere a temporary file is renamed.
        destination = target if self.protocol == "s3" else f"{target}.{secrets.token_hex(4)}.tmp"
        try:
            if self.protocol != "s3":
                self.filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            with path.open("rb") as source, self.filesystem.open(destination, "wb") as copy:
                digest = _copy(source, copy.write)
                if self.protocol == "file":
                    copy.flush()
                    os.fsync(copy.fileno())
            if destination != target:
                self.filesystem.mv(destination, target)
        except OSError as error:
            self._remove_quietly(destination)
            raise StoreError(f"The store ({VARIABLE}) cannot be written: {_reason(error)}") from error
        return digest

    def get(self, name: str, digest: str | None, target: Path) -> None:
        """Download an object atomically, after verification of its SHA-256.

        Raises:
            StoreError: The object is missing, cannot be read, or does not match the digest.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(3)}.tmp")
        try:
            with self.filesystem.open(self._place(name), "rb") as source, temporary.open("wb") as copy:
                actual = _copy(source, copy.write)
                copy.flush()
                os.fsync(copy.fileno())
            if digest is not None and actual != digest:
                raise StoreError(
                    f"'{Path(name).name}' in the store is not what was put there (its SHA-256 differs); "
                    "it is not read."
                )
            temporary.replace(target)
        except FileNotFoundError as error:
            raise StoreError(f"'{Path(name).name}' is not in the store ({VARIABLE}).") from error
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be read: {_reason(error)}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def holds(self, name: str) -> bool:
        """Return whether an object exists; raise `StoreError`."""
        try:
            return bool(self.filesystem.exists(self._place(name)))
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be read: {_reason(error)}") from error

    def names(self, folder: str) -> list[str]:
        """Return the names of all objects in a folder, recursively; raise `StoreError`."""
        root_path = self._place(folder)
        try:
            paths = self.filesystem.find(root_path) if self.filesystem.exists(root_path) else []
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be read: {_reason(error)}") from error
        prefix = self.root.strip("/")
        return sorted(str(name).strip("/").removeprefix(prefix).strip("/") for name in paths)

    def delete(self, name: str) -> None:
        """Delete an object if it exists; raise `StoreError`."""
        try:
            self.filesystem.rm_file(self._place(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be written: {_reason(error)}") from error

    def _place(self, name: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise StoreError("A name in the store has letters, digits, dots and hyphens in folders.")
        return f"{self.root}/{name}"

    def _remove_quietly(self, path: str) -> None:
        try:
            self.filesystem.rm_file(path)
        except OSError:
            return


def open_store(address: str | None = None) -> Store | None:
    """Open the store at `address` or CNNVIZ_STORE; return None if neither is set.

    Raises:
        StoreError: The store cannot be used; the message omits the address.
    """
    location = address or os.environ.get(VARIABLE) or ""
    if not location:
        return None
    parts = urlsplit(location)
    protocol = parts.scheme if "://" in location else "file"
    if protocol not in PROTOCOLS:
        raise StoreError(
            f"{VARIABLE} is a folder, or an address that begins with file:// or s3:// (such as "
            "s3://bucket/folder)."
        )
    if parts.username or parts.password or parts.query:
        raise StoreError(f"{VARIABLE} holds no credentials; they come from the environment.")
    if protocol == "s3":
        return _open_s3(parts.netloc, parts.path)
    if protocol == "memory":
        from fsspec.implementations.memory import MemoryFileSystem

        return Store(MemoryFileSystem(), f"/{parts.netloc}{parts.path}".rstrip("/"), protocol)
    from fsspec.implementations.local import LocalFileSystem

    folder = Path(parts.path if "://" in location else location).expanduser().absolute()
    return Store(LocalFileSystem(), str(folder), protocol)


def _open_s3(bucket: str, path: str) -> Store:
    if not bucket:
        raise StoreError(f"{VARIABLE} names no bucket: s3://bucket/folder.")
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: dict[str, Any] = {"connect_timeout": 10, "request_timeout": 60}
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme or "https"}
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        options["region"] = region
    return Store(ArrowFSWrapper(fs.S3FileSystem(**options)), f"{bucket}{path}".rstrip("/"), "s3")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: BinaryIO, write: Callable[[bytes], object]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        write(chunk)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    """Return the system's error message without the address, which may be confidential."""
    return f"{error.strerror or type(error).__name__}."


def folder_of(run_id: int, key: str) -> str:
    """Return the folder of a run in the store."""
    return f"runs/{run_id:06}-{key}"


def remove_all(store: Store, run_id: int, key: str) -> None:
    """Delete all objects of a run; raise `StoreError`."""
    for name in store.names(folder_of(run_id, key)):
        store.delete(name)


# Files of a run: a folder under CNNVIZ_HOME with its checkpoints.


def run_folder(run_id: int, key: str) -> Path:
    """Return the folder of a run on the machine that trains it; it need not exist.

    Args:
        run_id: `Run.id`.
        key: `Run.key`: two databases that share one home both have a run 1.
    """
    return home() / "runs" / f"{run_id:06}-{key}"


def disk_bytes(run_id: int, key: str) -> int:
    """Return the total size in bytes of a run's files on this machine."""
    total = 0
    for folder, _, names in os.walk(run_folder(run_id, key)):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # A checkpoint was replaced concurrently.
                continue
    return total


def remove(run_id: int, key: str) -> int:
    """Delete the files of a run and return their size in bytes; raise `OSError` if one cannot be deleted."""
    freed, folder = disk_bytes(run_id, key), run_folder(run_id, key)
    if folder.exists():
        shutil.rmtree(folder)
    return freed


def add_checkpoint(
    database: Database,
    lease: Lease,
    kind: str,
    path: str,
    step: int,
    epoch: float,
    size: int,
    digest: str | None = None,
    stored: str | None = None,
) -> None:
    """Insert the row of a checkpoint that is complete on disk, replacing the one of its kind.

    Args:
        database: The run database.
        lease: The worker's lease.
        kind: `last`, `best`, or a user's name for it; at most 40 characters.
        path: Relative to the run's folder.
        step: Number of optimizer steps.
        epoch: Number of epochs.
        size: Size of the file in bytes.
        digest: SHA-256 of the file in hexadecimal.
        stored: Its name in the store, if it is there too.

    Raises:
        StaleAttemptError: The lease is no longer valid.
    """
    row = CheckpointRow(
        run_id=lease.run_id, kind=kind, path=path, attempt=lease.attempt, step=step, epoch=epoch,
        bytes=size, time=time.time(), digest=digest, stored=stored,
    )  # fmt: skip
    with database.write() as session:
        require_lease(session, lease)
        session.merge(row)


def checkpoints(database: Database, run_id: int) -> dict[str, Checkpoint]:
    """Return the checkpoints of a run by kind."""
    query = select(
        CheckpointRow.kind, CheckpointRow.path, CheckpointRow.attempt, CheckpointRow.step,
        CheckpointRow.epoch, CheckpointRow.bytes, CheckpointRow.time, CheckpointRow.digest,
        CheckpointRow.stored,
    ).where(CheckpointRow.run_id == run_id)  # fmt: skip
    with database.read() as session:
        rows = [Checkpoint(*row) for row in session.execute(query.order_by(CheckpointRow.step))]
    return {checkpoint.kind: checkpoint for checkpoint in rows}


# Deletion: first hidden, which can be undone; then purged.

_ROWS_AT_ONCE = 20_000


def delete_run(database: Database, run_id: int) -> None:
    """Hide a run; `restore_run` undoes it, `purge_runs` deletes it permanently.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The run has a worker.
    """
    with database.write() as session:
        row = lock_run(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        if row.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {row.status}; stop it before you delete it.")
        row.deleted_at = row.deleted_at or time.time()


def restore_run(database: Database, run_id: int) -> None:
    """Undo `delete_run`; raise `NoSuchRunError`."""
    with database.write() as session:
        row = lock_run(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        row.deleted_at = None


def remove_checkpoint(database: Database, run_id: int, kind: str) -> int:
    """Delete one checkpoint of a run permanently, file and row; return the number of freed bytes.

    Without its `last` checkpoint a run restarts from scratch when it is resumed.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The run has a worker, has no such checkpoint, or has its files on another machine.
    """
    with database.write() as session:
        run = lock_run(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {run.status}; stop it before you delete its checkpoints.")
        if run.host not in (None, socket.gethostname()):
            raise WrongStateError(f"The files of run {run_id} lie on {run.host}; delete them there.")
        row = session.get(CheckpointRow, (run_id, kind))
        if row is None:
            raise WrongStateError(f"Run {run_id} has no checkpoint '{kind}'.")
        path, stored = run_folder(run_id, run.key) / row.path, row.stored
        session.delete(row)
    # The row first: a row without a file would be offered to users, a file without a row only takes space.
    freed = path.stat().st_size if path.exists() else 0
    path.unlink(missing_ok=True)
    if stored is not None:
        store = open_store()
        if store is not None:
            store.delete(stored)
    return freed


def purge_runs(
    database: Database, older_than: float = 0.0, ids: Collection[int] | None = None
) -> tuple[int, int]:
    """Delete hidden runs and their files permanently; return the number of runs and of freed bytes.

    Runs with files on another machine are left for that machine. If interrupted, the next call continues.

    Args:
        database: The run database.
        older_than: Minimum time since deletion in seconds.
        ids: Only these runs; by default all hidden runs that the current principal may change.
    """
    on_this_host = or_(RunRow.host.is_(None), RunRow.host == socket.gethostname())
    query = select(RunRow.id, RunRow.key).where(RunRow.deleted_at <= time.time() - older_than, on_this_host)
    if ids is not None:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        query = query.where(writable_rows(session, RunRow.owner_id))
        runs = session.execute(query.order_by(RunRow.id)).all()
    freed, store = 0, open_store()
    for run_id, key in runs:
        freed += remove(run_id, key)
        if store is not None:
            remove_all(store, run_id, key)
        _purge_rows(database, run_id)
    return len(runs), freed


def _purge_rows(database: Database, run_id: int) -> None:
    """Delete a run's rows in chunks: a transaction over a million rows would block a run in training."""
    chunk = select(MetricRow.id).where(MetricRow.run_id == run_id).order_by(MetricRow.id).limit(_ROWS_AT_ONCE)
    while True:
        with database.write() as session:
            row = session.get(RunRow, run_id, with_for_update=True)
            if row is None or row.deleted_at is None:
                return
            ids = session.scalars(chunk).all()
            if not ids:
                session.execute(delete(RunRow).where(RunRow.id == run_id))
                return
            session.execute(delete(MetricRow).where(MetricRow.run_id == run_id, MetricRow.id <= ids[-1]))
