"""Downloads: resumable, verified by checksum, and renamed only when complete; torchvision's data sets."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets.encoded_store import DISK_FULL, require_space
from cnnviz.datasets.spec import Arrays, DataError, Labels, Loader, Pixels, Progress, Step
from cnnviz.models import NoOptions
from cnnviz.paths import home

CHUNK = 1 << 18
PATIENCE = 30
"""Seconds until a silent server times out."""
MAX_BYTES = 8 << 30
OTHERWISE = "'digits' and 'shapes' need no network"
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """Published file with its checksum."""

    urls: Sequence[str]
    """Alternative URLs, tried in order."""
    name: str
    md5: str


class _AddressError(Exception):
    """Error of one URL; the next one is tried."""


def fetch(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Return the file below `folder`, downloading what is missing.

    Received data is in NAME.part beside it, and stays for the next attempt when the connection breaks.

    Raises:
        DataError: Where no URL works, the checksum differs, or there is not enough space.
    """
    target = folder / remote.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{remote.name}.part"
    reasons = []
    for url in remote.urls:
        try:
            _get(url, part, progress)
            _check(part, remote.md5)
        except _AddressError as failure:
            reasons.append(f"{urllib.parse.urlsplit(url).hostname}: {failure}")
            continue
        part.rename(target)
        return target
    raise DataError(
        f"{remote.name} could not be downloaded ({'; '.join(reasons)}); check the connection and try again, "
        f"which goes on where this stopped ({OTHERWISE})."
    )


def _get(url: str, part: Path, progress: Progress) -> None:
    """Append the missing bytes to `part`; restart where the server does not support ranges."""
    downloaded = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "cnnviz", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={downloaded}-"} if downloaded else {}
    )
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=PATIENCE
        ) as response:
            begin, total = _extent(response, downloaded)
            if (total or 0) > MAX_BYTES:
                raise _AddressError(f"offers {total:,} bytes, far too many")
            require_space(part.parent, (total or begin) - begin)
            _copy(response, part, begin, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # The file is complete, or longer than it should be: the checksum decides.
            return
        raise _AddressError(f"answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        reason = getattr(error, "reason", None) or error
        raise _AddressError(
            getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        ) from error


def _extent(response: http.client.HTTPResponse, downloaded: int) -> tuple[int, int | None]:
    """Return the offset at which the response begins, and the file's length where the server states it."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match.group(1)) != downloaded:
            raise _AddressError("answers with another part than the one asked for")
        return downloaded, None if match.group(2) == "*" else int(match.group(2))
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy(
    response: http.client.HTTPResponse, part: Path, begin: int, total: int | None, progress: Progress
) -> None:
    stage = f"downloading {part.stem}"
    received = begin
    with part.open("ab" if begin else "wb") as file:
        while block := response.read(CHUNK):
            file.write(block)
            received += len(block)
            progress(Step(stage, received, total, "bytes"))
            if received > MAX_BYTES:
                raise _AddressError("sends without end")
    if total is not None and received < total:
        raise _AddressError(f"stopped after {received:,} of {total:,} bytes")


def _check(part: Path, md5: str) -> None:
    """Verify the MD5 that the publisher states; it protects against damage only."""
    digest = hashlib.md5(usedforsecurity=False)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != md5:
        part.unlink()
        raise _AddressError("sent something else than was published (the checksum differs)")


# Data sets of torchvision: it provides URLs, checksums and formats; this module fetches, unpacks and cleans
# up.
#
# CIFAR's archives are pickles. torchvision verifies the checksum of every file in them before it reads any,
# so only pickles of the data set's publisher are loaded.


class Kind(NamedTuple):
    """Adapter of one of torchvision's data-set classes."""

    files: Callable[[Any], list[Remote]]
    place: Callable[[Any, Path, Path], None]
    """Put a downloaded file where the class expects it below a folder."""
    choose: Callable[[str], dict[str, Any]]
    """Return the arguments of the class for `train` and `test`."""


def _mnist_files(dataset: Any) -> list[Remote]:
    return [
        Remote([f"{mirror}{name}" for mirror in dataset.mirrors], name, md5)
        for name, md5 in dataset.resources
    ]


def _mnist_place(dataset: Any, path: Path, root: Path) -> None:
    folder = root / dataset.__name__ / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(path) as packed, (folder / path.stem).open("wb") as plain:
        shutil.copyfileobj(packed, plain)


def _archive_files(dataset: Any) -> list[Remote]:
    return [Remote([dataset.url], dataset.filename, dataset.tgz_md5)]


def _archive_place(dataset: Any, path: Path, root: Path) -> None:
    with tarfile.open(path) as archive:
        archive.extractall(root, filter="data")


def _svhn_files(dataset: Any) -> list[Remote]:
    return [Remote([url], name, md5) for url, name, md5 in map(dataset.split_list.get, ("train", "test"))]


def _svhn_place(dataset: Any, path: Path, root: Path) -> None:
    shutil.copyfile(path, root / path.name)


MNIST = Kind(_mnist_files, _mnist_place, lambda part: {"train": part == "train"})
CIFAR = Kind(_archive_files, _archive_place, lambda part: {"train": part == "train"})
STL = Kind(_archive_files, _archive_place, lambda part: {"split": part})
SVHN = Kind(_svhn_files, _svhn_place, lambda part: {"split": part})


def loader(name: str, class_name: str, kind: Kind) -> Loader:
    """Return a loader for torchvision's class; downloads are stored in `CNNVIZ_HOME/downloads/NAME`.

    The loader raises `DataError` where the files cannot be fetched or are damaged.
    """

    def load(options: NoOptions, progress: Progress) -> Arrays:
        import torchvision.datasets

        dataset = getattr(torchvision.datasets, class_name)
        downloads = home() / "downloads" / name
        paths = [fetch(remote, downloads, progress) for remote in kind.files(dataset)]
        progress(Step("unpacking", 0, None))
        with _unpacked(kind, dataset, paths, downloads / "unpacked") as root:
            train, test = (_read(dataset, root, kind.choose(part)) for part in ("train", "test"))
        return Arrays(*train, *test)

    return load


@contextmanager
def _unpacked(kind: Kind, dataset: Any, paths: list[Path], root: Path) -> Iterator[Path]:
    """Unpack the files while they are read.

    Damaged ones are deleted, so that the next attempt fetches them.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    try:
        for path in paths:
            kind.place(dataset, path, root)
        yield root
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error, RuntimeError) as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise DataError(
            f"What was downloaded to '{root.parent}' is damaged ({str(error).rstrip('.')}) and was removed; "
            "try again."
        ) from error
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _read(dataset: Any, root: Path, chosen: dict[str, Any]) -> tuple[Pixels, Labels]:
    """Read one part; torchvision raises `RuntimeError` where a checksum differs."""
    data = dataset(root, download=False, **chosen)
    labels = data.targets if hasattr(data, "targets") else data.labels
    return _planes(np.asarray(data.data)), np.asarray(labels, dtype=np.int64)


def _planes(data: NDArray[np.uint8]) -> Pixels:
    """Convert the class's array, `(N, H, W)`, `(N, H, W, 3)` or `(N, 3, H, W)`, to `(N, C, H, W)`."""
    if data.ndim == 3:
        return data[:, None]
    return np.ascontiguousarray(data if data.shape[1] == 3 else data.transpose(0, 3, 1, 2))
