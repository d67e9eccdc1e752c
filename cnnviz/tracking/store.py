"""The store: checkpoints and packed data where other machines can read them, complete or absent.

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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from cnnviz.tracking.errors import TrackingError

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
