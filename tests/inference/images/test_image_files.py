"""Folders and zips come apart into single files, with their classes where there are class folders."""

import io
import zipfile
from pathlib import Path

from cnnviz.inference.images.read_image import (
    MAX_BYTES,
    Picture,
    Refusal,
    Upload,
    from_paths,
    from_upload,
    read_all,
)
from tests.datasets.making import Files, classes, encoded, pixels, write

PNG = encoded(pixels(0))


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_zip_of_class_folders_knows_the_classes() -> None:
    result = from_upload("pets.zip", zipped({f"pets/{k}": v for k, v in classes(2).items()}))
    assert [(item.name, item.truth) for item in result] == [
        ("pets.zip/pets/cat/0.png", "cat"),
        ("pets.zip/pets/cat/1.png", "cat"),
        ("pets.zip/pets/dog/0.png", "dog"),
        ("pets.zip/pets/dog/1.png", "dog"),
    ]
    assert all(isinstance(item, Picture) for item in read_all(result))


def test_training_and_test_folders_are_both_taken() -> None:
    files = {**classes(1, prefix="train/"), **classes(1, prefix="test/")}
    assert [item.truth for item in from_upload("x.zip", zipped(files))] == ["cat", "dog"] * 2


def test_a_zip_of_pictures_is_many_pictures() -> None:
    result = from_upload("x.zip", zipped({"b.png": PNG, "a.png": PNG, "notes.txt": b"hello", ".hidden": b""}))
    assert [(item.name, item.truth) for item in result] == [
        ("x.zip/a.png", None),
        ("x.zip/b.png", None),
        ("x.zip/notes.txt", None),
    ]
    read = list(read_all(result))
    assert [type(item) for item in read] == [Picture, Picture, Refusal]


def test_one_file_is_one_file() -> None:
    assert from_upload("a.png", PNG) == [Upload("a.png", PNG)]


def test_a_bad_zip_is_one_refusal() -> None:
    for data in (zipped({"../up.png": PNG}), zipped({})):
        (refused,) = from_upload("x.zip", data)
        assert isinstance(refused, Refusal)
        assert "x.zip" in refused.reason


def test_a_damaged_member_does_not_keep_the_others() -> None:
    data = bytearray(zipped({"a.png": PNG, "b.png": PNG}))
    data[data.index(PNG) + 20] ^= 255
    assert [type(item) for item in read_all(from_upload("x.zip", bytes(data)))] == [Refusal, Picture]


def test_paths_are_files_folders_and_zips(tmp_path: Path) -> None:
    write(tmp_path / "pets", classes(1))
    write(tmp_path / "flat", {"1.png": PNG, ".hidden.png": PNG})
    (tmp_path / "huge.png").write_bytes(b"x" * (MAX_BYTES + 9))
    (tmp_path / "x.zip").write_bytes(zipped(classes(1)))
    paths = [tmp_path / name for name in ("flat", "flat/1.png", "pets", "x.zip", "missing.png", "huge.png")]
    result = list(read_all(from_paths(paths)))
    names = [item.name.removeprefix(f"{tmp_path}/") for item in result]
    assert names == [
        *("flat/1.png", "flat/1.png", "pets/cat/0.png", "pets/dog/0.png"),
        *("x.zip/cat/0.png", "x.zip/dog/0.png", "missing.png", "huge.png"),
    ]
    assert [item.truth for item in result] == [None, None, "cat", "dog", "cat", "dog", None, None]
    refused = [item.reason for item in result if isinstance(item, Refusal)]
    assert refused[0].startswith("There is no file")
    assert "has 21 MB" in refused[1]


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", {"1.png": PNG})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (refused,) = from_paths([tmp_path / "a"])
    assert isinstance(refused, Refusal)
    assert "is a link" in refused.reason
