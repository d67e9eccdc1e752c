"""What is too large to decode: the same images, in bounded memory, from threads that end when they should."""

import threading
from pathlib import Path

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.cli import main
from cnnviz.datasets import DataError, Dataset, cache, user_data
from cnnviz.datasets.encoded_store import in_order
from tests.datasets.making import classes, encoded, pixels, write

FILES = {**classes(40, prefix="train/"), **classes(5, prefix="test/", start=500)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "data", FILES)


@pytest.fixture
def streamed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    with monkeypatch.context() as patch:
        patch.setattr(user_data, "MAX_DECODED", 9_000)
        return datasets.load(root)


@pytest.fixture
def decoded(tmp_path: Path) -> Dataset:
    return datasets.load(write(tmp_path / "twin", FILES))


def test_the_limit_decides_and_it_is_said(streamed: Dataset, decoded: Dataset) -> None:
    assert streamed.streams
    assert not decoded.streams
    assert streamed.notes[-1] == "Decoded it would take 0.0 GB: it is decoded as it streams."
    assert streamed.fingerprint == decoded.fingerprint
    assert streamed.shape == decoded.shape == (3, 6, 6)
    assert not cache.images_path(streamed.folder, "train").exists()
    assert not cache.pack_path(decoded.folder).exists()


@pytest.mark.parametrize("rows", [None, np.array([79, 3, 3, 0, 41, 7, 8])])
@pytest.mark.parametrize("size", [1, 3, 200])
def test_batches_are_those_of_the_decoded_set(
    streamed: Dataset, decoded: Dataset, rows: np.ndarray[tuple[int], np.dtype[np.int64]] | None, size: int
) -> None:
    pairs = zip(streamed.train.iter_batches(size, rows), decoded.train.iter_batches(size, rows), strict=True)
    for (images, labels), (same_images, same_labels) in pairs:
        assert (images == same_images).all()
        assert (labels == same_labels).all()


def test_choosing_and_looking_work_as_for_a_decoded_set(streamed: Dataset, decoded: Dataset) -> None:
    rows = streamed.split(seed=2, limit=20).train
    assert rows.tolist() == decoded.split(seed=2, limit=20).train.tolist()
    some = streamed.train.take(rows)
    assert some.streams
    assert (some.pixels(np.arange(len(rows))) == decoded.train.pixels(rows)).all()
    assert streamed.train.pixels(rows[:0]).shape == (0, 3, 6, 6)


def test_all_images_at_once_are_refused(streamed: Dataset) -> None:
    with pytest.raises(DataError, match="too many images to have all decoded; take some"):
        streamed.train.tensors()


def test_it_is_opened_again_without_the_source(streamed: Dataset, root: Path) -> None:
    again = datasets.prepared(root)
    assert again is not None
    assert (again.test.pixels(np.arange(3)) == streamed.test.pixels(np.arange(3))).all()


def test_a_damaged_picture_is_named_when_its_turn_comes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_data, "MAX_DECODED", 9_000)
    write(root, {"train/dog/7.png": encoded(pixels(1))[:-40]})
    ready = datasets.load(root)
    with pytest.raises(DataError, match=r"train/dog/7\.png' is damaged"):
        list(ready.train.iter_batches(16))


def test_the_command_line_describes_it(
    streamed: Dataset, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "info", str(root)]) == 0
    assert "decoded as it streams" in capsys.readouterr().out


def test_no_more_is_begun_than_will_soon_be_asked_for() -> None:
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        return job

    results = in_order(work, iter(range(1000)), threads=2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(begun) <= 5 + 2 * 2
    results.close()
    assert len(begun) <= 5 + 2 * 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_error_comes_at_its_turn() -> None:
    results = in_order(lambda job: 6 // job, [3, 2, 0, 1], threads=3)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
