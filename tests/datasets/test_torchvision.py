"""The benchmarks of torchvision: its real classes over small files of the right form, served by us."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from scipy.io import savemat

from cnnviz import datasets
from cnnviz.datasets import DataError
from cnnviz.datasets.sources import torchvision
from tests.datasets.serving import Server, serving

LABELS = {"train": np.arange(20) % 10, "test": np.arange(10)}


def _images(part: str, *shape: int) -> Any:
    return np.random.default_rng(len(part)).integers(0, 256, (len(LABELS[part]), *shape), dtype=np.uint8)


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as running:
        yield running


def _serve_mnist(server: Server, patch: pytest.MonkeyPatch, name: str = "MNIST") -> Any:
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = _images(part, 28, 28)
        header = struct.pack(">IIII", 0x803, len(images), 28, 28)
        server.files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(header + images.tobytes())
        labels = LABELS[part].astype(np.uint8)
        server.files[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(
            struct.pack(">II", 0x801, len(labels)) + labels.tobytes()
        )
    dataset = getattr(tv, name)
    patch.setattr(dataset, "mirrors", [server.url("")])
    patch.setattr(dataset, "resources", [(file, _md5(data)) for file, data in server.files.items()])
    return dataset


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _serve_archive(server: Server, patch: pytest.MonkeyPatch, dataset: Any, files: dict[str, bytes]) -> None:
    packed = _archive({f"{dataset.base_folder}/{name}": data for name, data in files.items()})
    server.files[dataset.filename] = packed
    patch.setattr(dataset, "url", server.url(dataset.filename))
    patch.setattr(dataset, "tgz_md5", _md5(packed))


def _serve_cifar(server: Server, patch: pytest.MonkeyPatch, dataset: Any, key: str) -> None:
    def batch(part: str) -> bytes:
        return pickle.dumps({"data": _images(part, 3072), key: LABELS[part].tolist()})

    train, test, meta = batch("train"), batch("test"), pickle.dumps({dataset.meta["key"]: list("abcdefghij")})
    _serve_archive(server, patch, dataset, {"a": train, "b": test, dataset.meta["filename"]: meta})
    patch.setattr(dataset, "train_list", [["a", _md5(train)]])
    patch.setattr(dataset, "test_list", [["b", _md5(test)]])
    patch.setattr(dataset, "meta", {**dataset.meta, "md5": _md5(meta)})


def _serve_stl(server: Server, patch: pytest.MonkeyPatch) -> None:
    files = {"unlabeled_X.bin": b""}
    for part in ("train", "test"):
        files[f"{part}_X.bin"] = _images(part, 3, 96, 96).tobytes()
        files[f"{part}_y.bin"] = (LABELS[part] + 1).astype(np.uint8).tobytes()
    files["class_names.txt"] = b"a"
    _serve_archive(server, patch, tv.STL10, files)
    for kind in ("train_list", "test_list"):
        patch.setattr(tv.STL10, kind, [[name, _md5(files[name])] for name, _ in getattr(tv.STL10, kind)])


def _serve_svhn(server: Server, patch: pytest.MonkeyPatch) -> None:
    result = dict(tv.SVHN.split_list)
    for part in ("train", "test"):
        buffer = io.BytesIO()
        labels = np.where(LABELS[part] == 0, 10, LABELS[part])[:, None]
        savemat(buffer, {"X": _images(part, 32, 32, 3).transpose(1, 2, 3, 0), "y": labels})
        name = f"{part}_32x32.mat"
        server.files[name] = buffer.getvalue()
        result[part] = [server.url(name), name, _md5(buffer.getvalue())]
    patch.setattr(tv.SVHN, "split_list", result)


def _serve(name: str, server: Server, patch: pytest.MonkeyPatch) -> Any:
    """Serve a small set under `name` and return the training images that should come out, `(N, C, H, W)`."""
    if name in ("mnist", "fashion-mnist"):
        _serve_mnist(server, patch, "MNIST" if name == "mnist" else "FashionMNIST")
        return _images("train", 28, 28)[:, None]
    if name in ("cifar10", "cifar100"):
        dataset, key = (tv.CIFAR10, "labels") if name == "cifar10" else (tv.CIFAR100, "fine_labels")
        _serve_cifar(server, patch, dataset, key)
        return _images("train", 3072).reshape(-1, 3, 32, 32)
    if name == "stl10":
        _serve_stl(server, patch)
        return _images("train", 3, 96, 96).transpose(0, 1, 3, 2)
    _serve_svhn(server, patch)
    return _images("train", 32, 32, 3).transpose(0, 3, 1, 2)


NAMES = ["mnist", "fashion-mnist", "cifar10", "cifar100", "stl10", "svhn"]


@pytest.mark.parametrize("name", NAMES)
def test_downloaded_checked_read_and_cached(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _serve(name, server, monkeypatch)
    ready = datasets.load(name)
    assert ready.shape == datasets.get(name).shape
    assert (ready.train.images == expected).all()
    assert ready.train.labels.tolist() == LABELS["train"].tolist()
    assert ready.test.labels.tolist() == LABELS["test"].tolist()
    requests = len(server.asked)
    assert datasets.load(name).fingerprint == ready.fingerprint
    assert len(server.asked) == requests


@pytest.mark.parametrize("name", NAMES)
def test_a_connection_that_breaks_leaves_nothing_that_looks_whole(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(name, server, monkeypatch)
    server.break_after = 40
    with pytest.raises(DataError, match=r"could not be downloaded .* stopped after 40 of"):
        datasets.load(name)
    assert datasets.prepared(name) is None
    assert len(datasets.load(name).train) == 20


def test_what_went_bad_on_the_disk_is_removed_and_fetched_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve("mnist", server, monkeypatch)
    datasets.load("mnist")
    kept = Path(os.environ["CNNVIZ_HOME"]) / "downloads" / "mnist" / "train-images-idx3-ubyte.gz"
    kept.write_bytes(kept.read_bytes()[:-30])
    ready = datasets.prepared("mnist")
    assert ready is not None
    (ready.folder / "about.json").unlink()
    with pytest.raises(
        DataError, match=r"What was downloaded to '.*mnist' is damaged \(.*\) and was removed"
    ):
        datasets.load("mnist")
    assert datasets.load("mnist").fingerprint == ready.fingerprint


def test_a_pickle_that_is_not_the_published_one_is_never_opened(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve("cifar10", server, monkeypatch)
    monkeypatch.setattr(tv.CIFAR10, "train_list", [["a", "0" * 32]])
    monkeypatch.setattr(pickle, "load", None)
    with pytest.raises(DataError, match=r"is damaged .*corrupted"):
        datasets.load("cifar10")


def test_class_names_are_torchvisions() -> None:
    assert list(torchvision.FASHION) == tv.FashionMNIST.classes
    assert len(torchvision.CIFAR100) == 100
    assert sorted(torchvision.CIFAR100) == list(torchvision.CIFAR100)
