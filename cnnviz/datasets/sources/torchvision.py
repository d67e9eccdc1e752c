"""Benchmark data sets, downloaded and read through torchvision.

Downloads are resumable, verified by checksum, and renamed only when complete.
"""

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
from cnnviz.datasets.registry import register
from cnnviz.datasets.spec import Arrays, DataError, Labels, Loader, Pixels, Progress, Step
from cnnviz.models import NoOptions
from cnnviz.models.library import home

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


# Class names in the order of the labels, so that listing them reads no file.

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


DIGITS = tuple("0123456789")


def _add(class_name: str, kind: Kind, name: str, **facts: Any) -> None:
    register(name, source="torchvision", **facts)(loader(name, class_name, kind))


_add(
    "MNIST",
    MNIST,
    "mnist",
    title="MNIST",
    summary="70,000 handwritten digits in grey, centred: what LeNet was made for.",
    centered=True,
    shape=(1, 28, 28),
    classes=DIGITS,
    train=60_000,
    test=10_000,
    origin="Y. LeCun, C. Cortes, C. Burges, from NIST's digits; fetched as torchvision does.",
    licence="CC BY-SA 3.0",
    citation="LeCun et al.: Gradient-Based Learning Applied to Document Recognition, 1998",
    download_bytes=11_594_722,
)
_add(
    "FashionMNIST",
    MNIST,
    "fashion-mnist",
    title="Fashion-MNIST",
    summary="70,000 images of clothes in MNIST's form, and harder.",
    shape=(1, 28, 28),
    classes=FASHION,
    train=60_000,
    test=10_000,
    origin="Zalando Research; fetched as torchvision does.",
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017 (arXiv 1708.07747)",
    download_bytes=30_878_645,
)
_add(
    "CIFAR10",
    CIFAR,
    "cifar10",
    title="CIFAR-10",
    summary="60,000 small colour photographs of ten kinds of animals and vehicles.",
    shape=(3, 32, 32),
    classes=CIFAR10,
    train=50_000,
    test=10_000,
    origin="A. Krizhevsky, V. Nair, G. Hinton, from the Tiny Images; fetched as torchvision does.",
    licence="None is stated by its makers.",
    citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    download_bytes=170_498_071,
)
_add(
    "CIFAR100",
    CIFAR,
    "cifar100",
    title="CIFAR-100",
    summary="60,000 small colour photographs of a hundred kinds, 600 of each.",
    shape=(3, 32, 32),
    classes=CIFAR100,
    train=50_000,
    test=10_000,
    origin="A. Krizhevsky, V. Nair, G. Hinton, from the Tiny Images; fetched as torchvision does.",
    licence="None is stated by its makers.",
    citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
    download_bytes=169_001_437,
)
_add(
    "SVHN",
    SVHN,
    "svhn",
    title="SVHN",
    summary="99,289 digits cut from photographs of house numbers, with their neighbours at the edges.",
    shape=(3, 32, 32),
    classes=DIGITS,
    train=73_257,
    test=26_032,
    origin="Stanford University and Google; fetched as torchvision does, without the extra part.",
    licence="For non-commercial use only, say its makers.",
    citation="Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
    download_bytes=246_316_178,
)
_add(
    "STL10",
    STL,
    "stl10",
    title="STL-10",
    summary="13,000 colour photographs of ten kinds, larger and with few to train on.",
    shape=(3, 96, 96),
    classes=STL10,
    train=5_000,
    test=8_000,
    origin="A. Coates, H. Lee, A. Ng, from ImageNet; fetched as torchvision does, unlabelled part and all.",
    licence="None is stated by its makers; the photographs come from ImageNet.",
    citation="Coates, Lee, Ng: An Analysis of Single Layer Networks in Unsupervised Feature Learning, 2011",
    download_bytes=2_640_397_119,
)
