"""Reading through torchvision: it knows addresses, checksums and formats; we fetch, unpack and clean up.

CIFAR's archives are pickles. torchvision compares the checksum of every file in them before it reads any, so
nothing is unpickled but what the data set's makers published.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets.download import Remote, fetch
from cnnviz.datasets.spec import Arrays, DataError, Labels, Loader, Pixels, Progress, Step
from cnnviz.models import NoOptions
from cnnviz.models.library import home


class Kind(NamedTuple):
    """How one of torchvision's classes is fed and read."""

    files: Callable[[Any], list[Remote]]
    place: Callable[[Any, Path, Path], None]
    """Put a downloaded file where the class looks for it below a folder."""
    choose: Callable[[str], dict[str, Any]]
    """The arguments of the class for `train` and `test`."""


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
    """A loader for torchvision's class; downloads are kept in `CNNVIZ_HOME/downloads/NAME`.

    It raises `DataError` where they cannot be fetched, or are damaged.
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
    """Files unpacked for as long as they are read; what is damaged goes, so that a next try fetches it."""
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
    """One part; torchvision raises `RuntimeError` where a checksum differs."""
    found = dataset(root, download=False, **chosen)
    labels = found.targets if hasattr(found, "targets") else found.labels
    return _planes(np.asarray(found.data)), np.asarray(labels, dtype=np.int64)


def _planes(data: NDArray[np.uint8]) -> Pixels:
    """Whatever the class holds, `(N, H, W)`, `(N, H, W, 3)` or `(N, 3, H, W)`, as `(N, C, H, W)`."""
    if data.ndim == 3:
        return data[:, None]
    return np.ascontiguousarray(data if data.shape[1] == 3 else data.transpose(0, 3, 1, 2))
