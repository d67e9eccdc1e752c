"""The store of checkpoints (a folder or an fsspec URL), and the folder and the deletion of a run.

`CNNVIZ_STORE` is a folder (shared by NFS, say) or an address: `file:///folder`, `s3://bucket/folder`. S3 is
read by pyarrow, with credentials from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and the like). The
address is configuration: it stands in no page, link, recipe or sentence.

An object of a run bears the attempt that wrote it. Its row in the database is written with the lease, so that
a worker which has lost it publishes nothing, and holds the SHA-256 that is checked before anything is read.
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
from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import TrackingError, WrongStateError
from cnnviz.tracking.limits import mine, require_owner
from cnnviz.tracking.records import Checkpoint, Lease
from cnnviz.tracking.states import ACTIVE
from cnnviz.tracking.tables import CheckpointRow, MetricRow, RunRow
from cnnviz.tracking.transitions import held, locked

VARIABLE = "CNNVIZ_STORE"
PROTOCOLS = ("file", "memory", "s3")
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class StoreError(TrackingError):
    """The store cannot be used, or does not hold what the database says."""


@dataclass(frozen=True)
class Store:
    """Objects by name, on an fsspec file system. Safe to share between threads."""

    filesystem: Any = field(repr=False)
    root: str = field(repr=False)
    protocol: str

    def put(self, path: Path, name: str) -> str:
        """Copy a file into the store, complete or absent, and return its SHA-256. Raises `StoreError`."""
        target = self._place(name)
        # An object of S3 is there once its last byte is; elsewhere a file is renamed into place.
        written = target if self.protocol == "s3" else f"{target}.{secrets.token_hex(4)}.tmp"
        try:
            if self.protocol != "s3":
                self.filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            with path.open("rb") as source, self.filesystem.open(written, "wb") as copy:
                digest = _copy(source, copy.write)
                if self.protocol == "file":
                    copy.flush()
                    os.fsync(copy.fileno())
            if written != target:
                self.filesystem.mv(written, target)
        except OSError as error:
            self._remove_quietly(written)
            raise StoreError(f"The store ({VARIABLE}) cannot be written: {_reason(error)}") from error
        return digest

    def get(self, name: str, digest: str | None, target: Path) -> None:
        """Copy an object to a file, complete or absent, once its SHA-256 was compared.

        Raises `StoreError` where it is not there, cannot be read, or is not what the database says.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(3)}.tmp")
        try:
            with self.filesystem.open(self._place(name), "rb") as source, temporary.open("wb") as copy:
                found = _copy(source, copy.write)
                copy.flush()
                os.fsync(copy.fileno())
            if digest is not None and found != digest:
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
        """Whether there is an object of this name. Raises `StoreError`."""
        try:
            return bool(self.filesystem.exists(self._place(name)))
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be read: {_reason(error)}") from error

    def names(self, folder: str) -> list[str]:
        """The names of the objects below a folder. Raises `StoreError`."""
        place = self._place(folder)
        try:
            found = self.filesystem.find(place) if self.filesystem.exists(place) else []
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The store ({VARIABLE}) cannot be read: {_reason(error)}") from error
        below = self.root.strip("/")
        return sorted(str(name).strip("/").removeprefix(below).strip("/") for name in found)

    def delete(self, name: str) -> None:
        """Remove an object, if it is there. Raises `StoreError`."""
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

    def _remove_quietly(self, place: str) -> None:
        try:
            self.filesystem.rm_file(place)
        except OSError:
            return


def open_store(address: str | None = None) -> Store | None:
    """Open the store at `address` or CNNVIZ_STORE; None where neither is given.

    Raises `StoreError` in one sentence, without the address, for one that cannot be used.
    """
    given = address or os.environ.get(VARIABLE) or ""
    if not given:
        return None
    parts = urlsplit(given)
    protocol = parts.scheme if "://" in given else "file"
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

    folder = Path(parts.path if "://" in given else given).expanduser().absolute()
    return Store(LocalFileSystem(), str(folder), protocol)


def _open_s3(bucket: str, path: str) -> Store:
    if not bucket:
        raise StoreError(f"{VARIABLE} names no bucket: s3://bucket/folder.")
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: dict[str, Any] = {"connect_timeout": 10, "request_timeout": 60}
    if endpoint:
        known = urlsplit(endpoint)
        options |= {"endpoint_override": known.netloc, "scheme": known.scheme or "https"}
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        options["region"] = region
    return Store(ArrowFSWrapper(fs.S3FileSystem(**options)), f"{bucket}{path}".rstrip("/"), "s3")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: BinaryIO, write: Callable[[bytes], object]) -> str:
    whole = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        whole.update(chunk)
        write(chunk)
    return whole.hexdigest()


def _reason(error: OSError) -> str:
    """What the system says, without the address, which may be a secret of the site."""
    return f"{error.strerror or type(error).__name__}."


def folder_of(run_id: int, key: str) -> str:
    """The folder of a run in the store."""
    return f"runs/{run_id:06}-{key}"


def remove_all(store: Store, run_id: int, key: str) -> None:
    """Remove what the store holds of a run. Raises `StoreError`."""
    for name in store.names(folder_of(run_id, key)):
        store.delete(name)


# What a run keeps on disk: a folder of its own under CNNVIZ_HOME, and the checkpoints in it.


def run_folder(run_id: int, key: str) -> Path:
    """The folder of a run on the machine that trains it; it need not exist.

    Args:
        run_id: `Run.id`.
        key: `Run.key`: two databases have a run 1 each, and one home may serve both.
    """
    return home() / "runs" / f"{run_id:06}-{key}"


def disk_bytes(run_id: int, key: str) -> int:
    """How many bytes the files of a run take on this machine, whatever they are."""
    total = 0
    for folder, _, names in os.walk(run_folder(run_id, key)):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # A checkpoint was replaced in this moment.
                continue
    return total


def remove(run_id: int, key: str) -> int:
    """Remove the files of a run and return how many bytes they took; raises `OSError` where one stays."""
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
    """Note a checkpoint that lies complete on disk, in place of the one of its kind.

    Args:
        database: The run database.
        lease: Of the worker.
        kind: `last`, `best`, or a name for one that was asked for; at most 40 characters.
        path: Relative to the run's folder.
        step: Optimiser steps done.
        epoch: Epochs done.
        size: Bytes of the file.
        digest: SHA-256 of the file in hexadecimal.
        stored: Its name in the store, where it lies there too.

    Raises `StaleAttemptError`.
    """
    row = CheckpointRow(
        run_id=lease.run_id, kind=kind, path=path, attempt=lease.attempt, step=step, epoch=epoch,
        bytes=size, time=time.time(), digest=digest, stored=stored,
    )  # fmt: skip
    with database.write() as session:
        held(session, lease)
        session.merge(row)


def checkpoints(database: Database, run_id: int) -> dict[str, Checkpoint]:
    """The checkpoints of a run by kind."""
    query = select(
        CheckpointRow.kind, CheckpointRow.path, CheckpointRow.attempt, CheckpointRow.step,
        CheckpointRow.epoch, CheckpointRow.bytes, CheckpointRow.time, CheckpointRow.digest,
        CheckpointRow.stored,
    ).where(CheckpointRow.run_id == run_id)  # fmt: skip
    with database.read() as session:
        found = [Checkpoint(*row) for row in session.execute(query.order_by(CheckpointRow.step))]
    return {checkpoint.kind: checkpoint for checkpoint in found}


# Runs that go: hidden first, which can be undone, then for good.

_ROWS_AT_ONCE = 20_000


def delete_run(database: Database, run_id: int) -> None:
    """Hide a run; `restore_run` undoes it, `purge_runs` makes it final.

    Raises `NoSuchRunError`, and `WrongStateError` while a worker has it.
    """
    with database.write() as session:
        row = locked(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        if row.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {row.status}; stop it before you delete it.")
        row.deleted_at = row.deleted_at or time.time()


def restore_run(database: Database, run_id: int) -> None:
    """Undo `delete_run`; raises `NoSuchRunError`."""
    with database.write() as session:
        row = locked(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        row.deleted_at = None


def remove_checkpoint(database: Database, run_id: int, kind: str) -> int:
    """Delete one checkpoint of a run, file and row, for good; return how many bytes that freed.

    Without its `last` one a run begins anew when it is resumed. Raises `NoSuchRunError`, and
    `WrongStateError` while a worker has the run, where it has no such checkpoint, or where its files lie on
    another machine.
    """
    with database.write() as session:
        run = locked(session, run_id)
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
    # The row first: a row without its file would be offered, a file without its row only takes room.
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
    """Remove deleted runs with their files, for good; return how many, and how many bytes of files.

    Runs whose files lie on another machine stay, for that machine to purge. Interrupted, it goes on when
    called again.

    Args:
        database: The run database.
        older_than: Only those deleted at least so many seconds ago.
        ids: Only these; all deleted ones that whoever acts may change by default.
    """
    here = or_(RunRow.host.is_(None), RunRow.host == socket.gethostname())
    query = select(RunRow.id, RunRow.key).where(RunRow.deleted_at <= time.time() - older_than, here)
    if ids is not None:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        query = query.where(mine(session, RunRow.owner_id))
        gone = session.execute(query.order_by(RunRow.id)).all()
    freed, store = 0, open_store()
    for run_id, key in gone:
        freed += remove(run_id, key)
        if store is not None:
            remove_all(store, run_id, key)
        _purge_rows(database, run_id)
    return len(gone), freed


def _purge_rows(database: Database, run_id: int) -> None:
    """A million rows in one transaction would hold up a run that trains; a chunk at a time does not."""
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
