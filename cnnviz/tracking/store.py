"""Checkpoint store: a folder or an fsspec URL.

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
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from cnnviz.tracking.database import TrackingError

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

    def check(self) -> None:
        """Write a small object and delete it; raise `StoreError` if that fails."""
        name = f"probe-{secrets.token_hex(8)}"
        with tempfile.NamedTemporaryFile() as probe:
            probe.write(b"cnnviz")
            probe.flush()
            self.put(Path(probe.name), name)
        self.delete(name)

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

    folder = Path(parts.path if "://" in location else location).expanduser()
    if not folder.is_absolute():
        raise StoreError(
            f"{VARIABLE} is a whole path, such as /shared/cnnviz: each process would take a relative one for "
            "another folder."
        )
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
