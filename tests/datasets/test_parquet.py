"""Parquet in the Hugging Face layout: columns found by what they are, classes by name, and errors by row."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnnviz import datasets
from cnnviz.datasets import DataError
from cnnviz.datasets.summary import summary
from tests.datasets.making import classes, encoded, named, pixels, table, write

PICTURES = [encoded(pixels(number)) for number in range(10)]
LABELS = [number % 2 for number in range(10)]
SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_pictures_labels_and_class_names_are_read(tmp_path: Path) -> None:
    features = named("cat", "dog", picture="img", label="kind")
    table(tmp_path / "d" / "train.parquet", PICTURES, LABELS, features, picture="img", label="kind")
    table(tmp_path / "d" / "test.parquet", PICTURES[:4], LABELS[:4], features, picture="img", label="kind")
    ready = datasets.load(tmp_path / "d")
    assert ready.classes == ("cat", "dog")
    assert ready.train.labels.tolist() == LABELS
    assert (ready.train.images[3].transpose(1, 2, 0) == pixels(3)).all()
    assert ready.notes == ("The source's own split.",)


def test_the_fingerprint_does_not_depend_on_where_pictures_lie(tmp_path: Path) -> None:
    files = {**classes(3, prefix="train/"), **classes(1, prefix="test/", start=7)}
    folder = datasets.load(write(tmp_path / "folder", files))
    for part in ("train", "test"):
        chosen = [(data, int("dog" in name)) for name, data in files.items() if name.startswith(part)]
        pictures, labels = [data for data, _ in chosen], [label for _, label in chosen]
        table(tmp_path / "p" / f"{part}.parquet", pictures, labels)
    assert datasets.load(tmp_path / "p").fingerprint == folder.fingerprint


def test_shards_follow_one_another_and_validation_serves_as_test(tmp_path: Path) -> None:
    for number in range(2):
        chosen = slice(5 * number, 5 * number + 5)
        table(tmp_path / f"data/train-0000{number}-of-00002.parquet", PICTURES[chosen], LABELS[chosen])
    table(tmp_path / "data/validation-00000-of-00001.parquet", PICTURES[:2], LABELS[:2])
    ready = datasets.load(tmp_path)
    assert ready.train.labels.tolist() == LABELS
    assert ready.classes == ("0", "1")
    assert "It has no test part: its validation part serves as one." in ready.notes


def test_one_file_is_split(tmp_path: Path) -> None:
    ready = datasets.load(table(tmp_path / "all.parquet", PICTURES, LABELS))
    assert (len(ready.train), len(ready.test)) == (8, 2)


def test_a_column_of_bytes_alone_serves(tmp_path: Path) -> None:
    pq.write_table(pa.table({"png": PICTURES, "y": LABELS, "size": LABELS}), tmp_path / "x.parquet")
    assert datasets.load(tmp_path / "x.parquet").classes == ("0", "1")


@pytest.mark.parametrize(
    ("pictures", "labels", "sentence"),
    [
        (PICTURES, [*LABELS[:-1], 7], "row 9 of '{}' has label 7, but labels go from 0 to 1; correct it."),
        (PICTURES, [-1] * 10, "row 0 of '{}' has label -1, but labels go from 0 to 1; a part without labels"),
        (PICTURES, [*LABELS[:-1], None], "row 9 of '{}' has label -1"),
        (PICTURES, [0] * 10, "All training images are of one class"),
        ([*PICTURES[:-1], b"text"], LABELS, "'row 9 of '{}'' is not an image"),
        ([*PICTURES[:-1], None], LABELS, "row 9 of '{}' holds no image"),
        ([{"bytes": None, "path": "/etc/hostname"}, *PICTURES[1:]], LABELS, "row 0 of '{}' holds no image"),
        ([], [], "has no images; put some there"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, pictures: list[object], labels: list[int], sentence: str) -> None:
    path = table(tmp_path / "x.parquet", pictures, labels, named("cat", "dog"))
    with pytest.raises(DataError) as refused:
        datasets.load(path)
    assert sentence.format(path) in str(refused.value)


def test_columns_that_cannot_be_told_are_listed(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"should have a column of images \(bytes\), and none is one"):
        datasets.load(tmp_path / "a.parquet")
    pq.write_table(pa.table({"p": [b"a"], "n": [1], "m": [2]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="labels, and these could be: n, m; keep one, or name it 'label'"):
        datasets.load(tmp_path / "b.parquet")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", PICTURES, LABELS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"x\.parquet' is not a Parquet file that can be read"):
        datasets.load(path)


def test_a_folder_without_a_training_file_is_refused(tmp_path: Path) -> None:
    table(tmp_path / "test.parquet", PICTURES, LABELS)
    with pytest.raises(DataError, match=r"has no part called train \(only test\); name one so"):
        datasets.load(tmp_path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "shape", "mean", "std"),
    [
        # The statistics that everybody normalizes these data sets with.
        ("mnist", (1, 28, 28), [0.1307], [0.3081]),
        ("cifar10-jpeg", (3, 32, 32), [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]),
    ],
)
def test_real_data(name: str, shape: tuple[int, int, int], mean: list[float], std: list[float]) -> None:
    source = SHARED / name / "test.parquet"
    if not source.exists():
        pytest.skip(f"needs the data set kept beside the checkout, in {name}/test.parquet")
    ready = datasets.load(source)
    assert ready.shape == shape
    assert len(ready.train) + len(ready.test) == 10_000
    assert summary(ready).channels.mean == pytest.approx(mean, abs=0.01)
    assert summary(ready).channels.std == pytest.approx(std, abs=0.01)
    stored = pq.read_table(source).to_pylist()
    column = next(key for key in stored[0] if key != "label")
    known = {hashlib.sha256(np.asarray(image).tobytes()).digest() for image in ready.test.images[:50]}
    digests = {_digest(row[column]["bytes"]) for row in stored}
    assert known <= digests


def _digest(data: bytes) -> bytes:
    plain = np.asarray(Image.open(io.BytesIO(data)))
    return hashlib.sha256((plain[None] if plain.ndim == 2 else plain.transpose(2, 0, 1)).tobytes()).digest()
