"""The summary of a data set, against NumPy's own mean, spread and covariance on floats."""

from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset, Part, Step, cache, summary, user_data
from tests.datasets.making import classes, encoded, pixels, write


def _dataset(folder: Path, images: np.ndarray, labels: np.ndarray, count: int) -> Dataset:
    names = tuple(f"class {number}" for number in range(count))
    part = Part(images, labels)
    return Dataset("made", "Made", names, part, part.take(np.arange(1)), "0" * 64, ("Made.",), folder)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 12), channels=st.sampled_from([1, 3]), side=st.integers(1, 7),
    kinds=st.integers(2, 5), at_once=st.integers(1, 400), seed=st.integers(0, 99),
)  # fmt: skip
def test_statistics_are_numpys_however_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    count: int,
    channels: int,
    side: int,
    kinds: int,
    at_once: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, channels, side, side + 1), dtype=np.uint8)
    labels = random.integers(0, kinds, count)
    monkeypatch.setattr(summary, "AT_ONCE", at_once)
    computed = summary.computed(_dataset(tmp_path, images, labels, kinds))
    values = images / 255
    assert computed.seen == count
    assert not computed.sampled
    assert computed.channels.mean == pytest.approx(values.mean(axis=(0, 2, 3)))
    assert computed.channels.std == pytest.approx(values.std(axis=(0, 2, 3)), abs=1e-12)
    assert computed.mean_image == pytest.approx(values.mean(axis=0))
    flat = values.transpose(1, 0, 2, 3).reshape(channels, -1)
    expected = np.atleast_2d(np.cov(flat, bias=True))
    assert computed.covariance == pytest.approx(expected, abs=1e-12)
    assert computed.histogram.sum() == images.size
    assert (computed.histogram[0] == np.bincount(images[:, 0].ravel(), minlength=256)).all()
    for label in range(kinds):
        chosen = values[labels == label]
        mean = chosen.mean(axis=0) if len(chosen) else np.zeros(images.shape[1:])
        assert computed.class_means[label] == pytest.approx(mean, abs=1e-6)
        assert computed.train_counts[label] == len(chosen)


def test_it_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = datasets.load("digits")
    steps: list[Step] = []
    first = summary.summary(ready, steps.append)
    assert steps[-1].done == steps[-1].total == len(ready.train)
    monkeypatch.setattr(summary, "computed", None)
    again = summary.summary(ready)
    assert again.seen == first.seen
    assert (again.class_means == first.class_means).all()
    assert (again.covariance == first.covariance).all()


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"PK\x03\x04"])
def test_a_damaged_file_is_computed_again(damage: bytes) -> None:
    ready = datasets.load("digits")
    first = summary.summary(ready)
    (ready.folder / summary.FILE).write_bytes(damage)
    assert (summary.summary(ready).histogram == first.histogram).all()


def test_a_disk_that_forbids_writing_costs_only_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    ready = datasets.load("digits")
    monkeypatch.setattr(np, "savez", forbid)
    assert summary.summary(ready).seen == len(ready.train)
    assert list(ready.folder.glob("summary*")) == []


def test_too_large_class_means_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = datasets.load("digits")
    monkeypatch.setattr(summary, "MAX_VALUES", 10)
    result = summary.summary(ready)
    assert result.class_means.shape == (0, 1, 28, 28)
    assert summary.summary(ready).class_means.shape == (0, 1, 28, 28)


def test_what_streams_is_seen_through_a_stratified_sample(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(user_data, "MAX_DECODED", 100)
    monkeypatch.setattr(summary, "SAMPLE", 6)
    ready = datasets.load(write(tmp_path / "pets", classes(20)))
    assert ready.streams
    result = summary.summary(ready)
    assert result.sampled
    assert (result.seen, result.train_counts.tolist(), result.test_counts.tolist()) == (6, [16, 16], [4, 4])


def test_a_picture_found_to_be_damaged_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(user_data, "MAX_DECODED", 100)
    files = {**classes(5), "dog/broken.png": encoded(pixels(7, (40, 40)))[:900]}
    ready = datasets.load(write(tmp_path / "pets", files), {"size": 6})
    with pytest.raises(DataError, match=r"dog/broken\.png' is damaged"):
        summary.summary(ready)
    assert not (cache.folder() / ready.folder.name / summary.FILE).exists()


def test_classes_without_images_count_zero() -> None:
    assert summary.class_counts(np.array([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]
