"""Data sets at Hugging Face: the library's own builders over local files stand in for the network."""

import socket
from pathlib import Path
from typing import Any, NoReturn

import datasets as library
import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.datasets import DataError, parquet
from tests.datasets.making import classes, encoded, named, pixels, table, write

PICTURES = [encoded(pixels(number)) for number in range(10)]
LABELS = [number % 2 for number in range(10)]
REAL = library.load_dataset_builder


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library is made to load instead of what it is asked for; `asked` is what that was."""
    given: dict[str, Any] = {}

    def builder(repository: str, configuration: str | None, cache_dir: str) -> Any:
        given["asked"] = (repository, configuration)
        return REAL(given["kind"], cache_dir=cache_dir, **given["files"])

    monkeypatch.setattr(library, "load_dataset_builder", builder)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    return given


def test_a_data_set_is_fetched_once_by_its_name(answer: dict[str, Any], tmp_path: Path) -> None:
    files = {
        part: str(table(tmp_path / f"{part}.parquet", PICTURES[:count], LABELS[:count], named("cat", "dog")))
        for part, count in (("train", 8), ("test", 4), ("validation", 2))
    }
    answer.update(kind="parquet", files={"data_files": files})
    ready = datasets.load("somebody/animals:small")
    assert answer.pop("asked") == ("somebody/animals", "small")
    assert ready.classes == ("cat", "dog")
    assert ready.train.labels.tolist() == LABELS[:8]
    assert (ready.train.images[5].transpose(1, 2, 0) == pixels(5)).all()
    assert ready.notes == (
        "The source's own split.",
        "From Hugging Face: somebody/animals:small.",
        "Not used: its validation.",
    )
    assert not (ready.folder / "fetched").exists()
    assert datasets.load("hf:somebody/animals:small").fingerprint == ready.fingerprint
    assert "asked" not in answer


def test_pictures_that_are_files_are_read_where_the_library_put_them(
    answer: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "put", classes(5))
    answer.update(kind="imagefolder", files={"data_dir": str(root)})
    monkeypatch.setattr(parquet, "_library_folders", lambda place: (root,))
    ready = datasets.load("hf:animals")
    assert answer["asked"] == ("animals", None)
    assert np.bincount(ready.train.labels).tolist() == [4, 4]


def test_pictures_elsewhere_on_this_machine_are_not_read(answer: dict[str, Any], tmp_path: Path) -> None:
    answer.update(kind="imagefolder", files={"data_dir": str(write(tmp_path / "secret", classes(5)))})
    with pytest.raises(DataError, match="row 0 of 'train of somebody/animals' holds no image"):
        datasets.load("somebody/animals")


def test_other_formats_are_refused_before_anything_is_read(answer: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, {"words.txt": b"hello"})
    answer.update(kind="text", files={"data_files": str(tmp_path / "words.txt")})
    with pytest.raises(DataError, match="is stored as text; what is taken is arrow, imagefolder, parquet"):
        datasets.load("somebody/words")


def test_what_the_library_cannot_do_is_one_sentence(
    answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise library.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist.\nSecond line.")

    monkeypatch.setattr(library, "load_dataset_builder", fail)
    with pytest.raises(DataError) as refused:
        datasets.load("a/b")
    assert str(refused.value) == (
        "There is no file or folder 'a/b', and Hugging Face's data set of that name cannot be used: "
        "Dataset 'a/b' doesn't exist; check the name and the connection."
    )


def test_without_a_network_one_sentence_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(DataError, match=r"cannot be reached to ask for it .*Name or service not known"):
        datasets.load("somebody/animals")


@pytest.mark.parametrize("name", ["animals", "../up", "a/../b", "/abs/x", "a/b/c", "a b/c", "hf:", ""])
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    assert not parquet.is_repository(name)
