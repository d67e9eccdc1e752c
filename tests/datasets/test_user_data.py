"""The user's own folders and zips: what they come to, and what is refused, by name, in one sentence."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from cnnviz import datasets
from cnnviz.datasets import DataError, Step, class_folders, encoded_store, user_data
from tests.datasets.making import Files, classes, encoded, pixels, write


def _zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _both(tmp_path: Path, files: Files) -> list[Path]:
    return [write(tmp_path / "folder", files), _zip(tmp_path / "packed.zip", files)]


TWO_PARTS = {**classes(4, prefix="train/"), **classes(2, prefix="test/", start=50)}


def test_folder_and_zip_hold_the_same(tmp_path: Path) -> None:
    folder, packed = (datasets.load(path) for path in _both(tmp_path, TWO_PARTS))
    assert folder.fingerprint == packed.fingerprint
    assert folder.classes == packed.classes == ("cat", "dog")
    assert folder.shape == (3, 6, 6)
    assert folder.notes == ("The source's own split.",)
    assert (folder.title, packed.title) == ("folder", "packed")
    assert (folder.train.images == packed.train.images).all()


def test_images_and_labels_are_those_of_torchvisions_image_folder(tmp_path: Path) -> None:
    root = write(tmp_path / "data", TWO_PARTS)
    ready = datasets.load(root)
    for part in (ready.train, ready.test):
        theirs = ImageFolder(root / ("train" if part is ready.train else "test"))
        assert tuple(theirs.classes) == ready.classes
        assert part.labels.tolist() == [label for _, label in theirs.samples]
        for ours, (picture, _) in zip(part.images, theirs, strict=True):
            assert (ours.transpose(1, 2, 0) == np.asarray(picture)).all()


def test_without_a_test_part_a_stratified_one_is_taken_and_said(tmp_path: Path) -> None:
    root = write(tmp_path / "data", classes(10))
    ready = datasets.load(root, {"seed": 3})
    assert (len(ready.train), len(ready.test)) == (16, 4)
    assert np.bincount(ready.test.labels).tolist() == [2, 2]
    assert ready.notes[0] == (
        "No test part of its own: a stratified 0.2 of the images was taken for it (seed 3)."
    )
    assert datasets.load(root, {"seed": 4}).fingerprint != ready.fingerprint
    assert len(datasets.load(root, {"test": "0.5"}).test) == 10


def test_a_validation_folder_serves_as_test_where_there_is_none(tmp_path: Path) -> None:
    files = {**classes(4, prefix="Train/"), **classes(2, prefix="val/"), **classes(1, prefix="extra/")}
    ready = datasets.load(write(tmp_path / "data", files))
    assert len(ready.test) == 4
    assert ready.notes[1:] == (
        "There is no test/: the validation folder serves as the test part.",
        "Not used, as it lies beside train/: extra/.",
    )


def test_a_folder_around_everything_in_a_zip_does_not_matter(tmp_path: Path) -> None:
    plain = _zip(tmp_path / "plain.zip", TWO_PARTS)
    wrapped = {f"animals/{name}": data for name, data in TWO_PARTS.items()}
    litter = {"animals/README.md": b"hello", "__MACOSX/animals/._1.png": b"x", "animals/cat/.DS_Store": b"x"}
    packed = _zip(tmp_path / "wrapped.zip", {**wrapped, **litter})
    assert datasets.load(plain).fingerprint == datasets.load(packed).fingerprint


def test_what_changes_in_the_folder_is_noticed(tmp_path: Path) -> None:
    root = write(tmp_path / "data", classes(5))
    first = datasets.load(root)
    assert datasets.prepared(root) is not None
    write(root, {"cat/9.png": encoded(pixels(999))})
    assert datasets.prepared(root) is None
    again = datasets.load(root)
    assert len(again.train) + len(again.test) == 11
    assert again.folder == first.folder


def test_sizes_are_made_alike_and_it_is_said(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": encoded(pixels(n, (10 + n, 20))) for c in "ab" for n in range(5)}
    root = write(tmp_path / "data", files)
    ready = datasets.load(root)
    assert ready.shape == (3, 12, 12)
    assert "Images of 5 sizes: the middle of each was resized to 12×12 pixels (bilinear)." in ready.notes
    assert datasets.load(root, {"size": 8}).shape == (3, 8, 8)


def test_one_oblong_size_is_kept(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": encoded(pixels(n, (4, 9), 1)) for c in "ab" for n in range(5)}
    assert datasets.load(write(tmp_path / "data", files)).shape == (1, 4, 9)


def test_grey_among_colour_becomes_colour(tmp_path: Path) -> None:
    files = dict(classes(5))
    files["cat/grey.png"] = encoded(pixels(1, channels=1))
    ready = datasets.load(write(tmp_path / "data", files))
    assert ready.shape[0] == 3
    assert "Gray images among colored ones became colored." in ready.notes


PNG = encoded(pixels(0, (20, 20)))
HUGE = encoded(Image.new("1", (8_000, 8_000)))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "holds no class folders with images; what is expected is one folder of images a class"),
        ({"1.png": PNG, "2.png": PNG}, "holds no class folders"),
        ({"cat/1.png": PNG, "cat/2.png": PNG}, "has 1 class; from 2 to 100,000 are needed"),
        ({**classes(), "cat/x.jpg": b"hello"}, "cat/x.jpg' is not an image that can be read (PNG, JPEG"),
        ({**classes(), "dog/x.png": b""}, "dog/x.png' is not an image"),
        ({**classes(), "dog/x.png": PNG[:200]}, "dog/x.png' is damaged ("),
        ({**classes(), "dog/x.heic": b"....ftypheic"}, "dog/x.heic' is not an image that can be read"),
        ({**classes(), "dog/x.png": HUGE}, "dog/x.png' has more than 50 million pixels; make it smaller"),
        ({**classes(prefix="train/"), "test/README": b""}, "The test part of '"),
        (
            {**classes(prefix="train/"), **classes(prefix="test/", names=("cat", "cow"))},
            "The test part has images of 'cow', of which there is no training image",
        ),
    ],
)
def test_bad_data_is_refused_by_name(tmp_path: Path, files: Files, sentence: str) -> None:
    for path in _both(tmp_path, files):
        path.mkdir(exist_ok=True) if path.suffix == "" else None
        with pytest.raises(DataError) as refused:
            datasets.load(path)
        message = str(refused.value)
        assert sentence in message
        assert "\n" not in message
        assert datasets.prepared(path) is None


def test_a_picture_of_too_many_bytes_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, packed = _both(tmp_path, classes())
    for module in (encoded_store, class_folders):
        monkeypatch.setattr(module, "MAX_BYTES", 20)
    for path in (root, packed):
        with pytest.raises(DataError, match=r"cat/0\.png' has 0 MB; an image has at most 0 MiB"):
            datasets.load(path)


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "data", classes())
    (root / "cat" / "loop").symlink_to(root)
    with pytest.raises(DataError, match="cat/loop' is a link; put the file or folder itself in its place"):
        datasets.load(root)


def test_folders_too_deep_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "data", {"cat/" + "x/" * 20 + "1.png": PNG})
    with pytest.raises(DataError, match="more than 8 folders deep"):
        datasets.load(root)


@pytest.mark.parametrize(
    "name", ["../up/1.png", "/abs/1.png", "cat/../../1.png", "cat\\..\\1.png", "C:/1.png"]
)
def test_names_that_lead_out_of_a_zip_are_refused(tmp_path: Path, name: str) -> None:
    path = _zip(tmp_path / "z.zip", {**classes(), "placeholder": PNG})
    path.write_bytes(path.read_bytes().replace(b"placeholder", name.encode().ljust(11, b"x")[:11]))
    if len(name) != 11:
        path = _zip(tmp_path / "y.zip", {**classes(), name: PNG})
    with pytest.raises(DataError, match="has a member that leads out of it"):
        datasets.load(path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("cat/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(link, "../../secret")
    with pytest.raises(DataError, match="has a link in it"):
        datasets.load(tmp_path / "z.zip")


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"cat/{number}.png", bytes(16 << 20))
    with pytest.raises(DataError, match=r"would unpack to 134 MB in 8 files, too much for a zip of 0\.1 MB"):
        datasets.load(tmp_path / "bomb.zip")


def test_a_damaged_zip_names_the_member(tmp_path: Path) -> None:
    path = _zip(tmp_path / "z.zip", classes())
    data = bytearray(path.read_bytes())
    data[data.index(b"\x89PNG") + 40] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"z\.zip/cat/0\.png' is damaged .*; pack it again"):
        datasets.load(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "z.zip", classes())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted; pack it again without a password"):
        datasets.load(path)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"data.pkl": b"\x80\x04K\x01."})
    with pytest.raises(DataError, match="neither a folder of class folders, nor a zip of them, nor Parquet"):
        datasets.load(tmp_path / "data.pkl")


def test_options_of_ones_own_data_are_checked(tmp_path: Path) -> None:
    root = write(tmp_path / "data", classes())
    with pytest.raises(
        ValueError, match="There is no option 'train' here; the options are: size, test, seed"
    ):
        datasets.load(root, {"train": 3})


def test_other_files_among_the_pictures_are_passed_over_and_counted(tmp_path: Path) -> None:
    files = {**classes(10), "cat/notes.txt": b"hello", "dog/labels.csv": b"a,b", "dog/README": b""}
    for path in _both(tmp_path, files):
        result = datasets.load(path)
        assert len(result.train) + len(result.test) == 20
        assert result.classes == ("cat", "dog")
        (note,) = [note for note in result.notes if "passed over" in note]
        assert note.startswith("3 files that are no images were passed over (the first: '")
        assert note.endswith("cat/notes.txt').")


def test_a_folder_of_other_files_only_is_no_class(tmp_path: Path) -> None:
    files = {**classes(10), "aaa/notes.txt": b"hello"}
    for path in _both(tmp_path, files):
        result = datasets.load(path)
        assert result.classes == ("cat", "dog")
        assert np.bincount(np.concatenate([result.train.labels, result.test.labels])).tolist() == [10, 10]
        cats = encoded(pixels(0))
        every = np.concatenate([result.train.images, result.test.images])
        labels = np.concatenate([result.train.labels, result.test.labels])
        picture = np.asarray(Image.open(io.BytesIO(cats))).transpose(2, 0, 1)
        (row,) = [row for row, image in enumerate(every) if np.array_equal(image, picture)]
        assert labels[row] == 0


def test_classes_that_only_one_part_has_are_named(tmp_path: Path) -> None:
    train = classes(prefix="train/", names=("Cat", "cow", "dog"))
    files = {**train, **classes(prefix="test/", names=("cow", "dog"))}
    for path in _both(tmp_path / "fewer", files):
        (note,) = [note for note in datasets.load(path).notes if "same classes" in note]
        assert note == "The parts are not of the same classes: there are only training images of 'Cat'."
    files = {**train, **classes(prefix="test/", names=("cat", "cow"))}
    for path in _both(tmp_path / "other", files):
        with pytest.raises(
            DataError, match=r"images of 'cat', of .* \(training has 'Cat': is it the same\?\)"
        ):
            datasets.load(path)


def test_a_zip_of_more_files_than_any_has_is_refused_before_its_list_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "many.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for number in range(70_000):  # More than 65,535 stand in another record.
            archive.writestr(f"cat/{number}.png", b"")
    monkeypatch.setattr("cnnviz.datasets.class_folders.MAX_MEMBERS", 60_000)
    parsed: list[object] = []
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *words: parsed.append(words))
    with pytest.raises(DataError, match="has 70,000 files in it, and a zip of images has at most 60,000"):
        datasets.load(place)
    assert not parsed


def test_a_zip_that_states_fewer_files_than_it_lists_is_refused_before_its_list_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(300):
            archive.writestr(f"cat/{number}.png", b"")
    lying = bytearray(data.getvalue())
    lying[-14:-10] = struct.pack("<HH", 1, 1)
    place = tmp_path / "lying.zip"
    place.write_bytes(lying)
    assert len(zipfile.ZipFile(place).infolist()) == 300
    monkeypatch.setattr("cnnviz.datasets.class_folders.MAX_MEMBERS", 200)
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *_: pytest.fail("Its list was parsed."))
    with pytest.raises(DataError, match="has 300 files in it, and a zip of images has at most 200"):
        datasets.load(place)


def test_a_zip_with_a_longer_list_of_files_than_pictures_need_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "long.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for number in range(40):
            archive.writestr(f"cat/{'long' * 10_000}{number}.png", b"")
    monkeypatch.setattr("cnnviz.datasets.class_folders.MAX_DIRECTORY", 1_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *_: pytest.fail("Its list was parsed."))
    with pytest.raises(DataError, match=r"list of its files of 2 MB, and that of a zip of images has at mo"):
        datasets.load(place)


def test_files_that_are_no_pictures_are_progress_too_so_that_it_can_be_cancelled_among_them(
    tmp_path: Path,
) -> None:
    class StoppedError(Exception):
        pass

    def stop(step: Step) -> None:
        if step.done:
            raise StoppedError

    root = write(tmp_path / "notes", {**classes(2), **{f"cat/{n}.txt": b"" for n in range(600)}})
    with pytest.raises(StoppedError):
        datasets.load(root, progress=stop)
    steps: list[Step] = []
    datasets.load(root, progress=steps.append)
    assert [(step.done, step.total) for step in steps if step.stage == "reading"][:3] == [
        (0, 604),
        (256, 604),
        (512, 604),
    ]


def test_more_class_folders_than_anybody_tells_apart_are_refused_before_a_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnviz.datasets.class_folders.MAX_FOLDERS", 5)
    monkeypatch.setattr("cnnviz.datasets.encoded_store.header", lambda *_: pytest.fail("A picture was read."))
    for path in _both(tmp_path, {f"kind{number}/1.png": PNG for number in range(6)}):
        with pytest.raises(DataError, match="has 6 class folders, and at most 5 are read; is each image"):
            datasets.load(path)


def test_progress_of_large_pictures_moves_with_every_few_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,200 photographs stood at "reading" until 128 of them had been decoded."""
    monkeypatch.setattr(user_data, "PIXELS_AT_ONCE", 2 * 6 * 6)
    monkeypatch.setattr(encoded_store, "REPORT_BYTES", 1)
    steps: list[Step] = []
    datasets.load(write(tmp_path / "data", classes(10)), progress=steps.append)
    assert [step.done for step in steps if step.stage == "reading"] == list(range(21))
    assert [step.done for step in steps if step.stage == "decoding"] == list(range(0, 21, 2))


def test_decoding_is_said_to_have_begun_before_a_picture_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Step] = []
    stages: list[str] = []
    real = encoded_store.decode

    def noted(*arguments: Any) -> Any:
        stages.append(steps[-1].stage)
        return real(*arguments)

    monkeypatch.setattr(user_data, "decode", noted)
    datasets.load(write(tmp_path / "data", classes(3)), progress=steps.append)
    assert stages == ["decoding"] * 6


@given(st.lists(st.integers(1, 50_000_000), max_size=400))
def test_batches_cover_all_pictures_in_order_and_are_bounded_or_of_one(pixels: list[int]) -> None:
    result = list(user_data.batches(np.array(pixels, dtype=np.int64)))
    assert [place for batch in result for place in batch] == list(range(len(pixels)))
    for batch in result:
        assert len(batch) == 1 or sum(pixels[place] for place in batch) <= user_data.PIXELS_AT_ONCE
        assert len(batch) <= user_data.MAX_AT_ONCE
