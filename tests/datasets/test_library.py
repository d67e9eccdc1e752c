"""The user's own data by name: kept once, opened without its source, never in another's place."""

import shutil
from pathlib import Path

import pytest

from cnnviz import datasets
from cnnviz.datasets import DataError, UnknownDatasetError, cache, class_folders, library
from tests.datasets.making import classes, encoded, pixels, write


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write(tmp_path / "My Pets", classes(10))


def test_a_path_gets_a_name_that_stands_among_the_others(pets: Path) -> None:
    ready = datasets.save_user_dataset(pets)
    assert ready.name == "mine/my-pets"
    spec = datasets.get("mine/my-pets")
    assert (spec.train, spec.test, spec.shape, spec.classes) == (16, 4, (3, 6, 6), ("cat", "dog"))
    assert (spec.source, spec.offline) == ("yours", True)
    assert spec.split == ready.notes[0]
    assert list(datasets.specs())[-1] == "mine/my-pets"
    assert datasets.load("mine/my-pets").fingerprint == ready.fingerprint
    assert spec.loader(spec.options(), lambda step: None).train_images.shape == (16, 3, 6, 6)


def test_it_opens_without_a_look_at_its_source(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = datasets.save_user_dataset(pets)
    monkeypatch.setattr(class_folders, "listing", None)
    assert datasets.load("mine/my-pets").fingerprint == first.fingerprint
    shutil.rmtree(pets)
    assert datasets.prepared("mine/my-pets") is not None


def test_a_changed_source_counts_when_it_is_kept_again(pets: Path) -> None:
    first = datasets.save_user_dataset(pets)
    write(pets, {"cat/more.png": encoded(pixels(999))})
    assert datasets.load("mine/my-pets").fingerprint == first.fingerprint
    again = datasets.save_user_dataset(pets)
    assert again.name == first.name
    assert again.fingerprint != first.fingerprint
    assert datasets.get(again.name).train + datasets.get(again.name).test == 21


def test_options_are_kept_and_others_may_be_asked_for(pets: Path) -> None:
    datasets.save_user_dataset(pets, options={"size": "4"})
    assert datasets.load("mine/my-pets").shape == (3, 4, 4)
    assert datasets.load("mine/my-pets", {"size": 4}).shape == (3, 4, 4)
    assert datasets.prepared("mine/my-pets", {"size": 5}) is None
    assert datasets.load("mine/my-pets", {"size": 5}).shape == (3, 5, 5)


def test_names_are_given_and_do_not_collide(pets: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other" / "my-pets", classes(5))
    assert datasets.save_user_dataset(pets).name == "mine/my-pets"
    assert datasets.save_user_dataset(other).name == "mine/my-pets-2"
    assert datasets.save_user_dataset(other).name == "mine/my-pets-2"
    with pytest.raises(DataError, match=r"'mine/my-pets' is the name of '.*My Pets' already; choose another"):
        datasets.save_user_dataset(other, "My pets")
    assert datasets.save_user_dataset(other, "Third").name == "mine/third"


def test_what_is_gone_is_said(pets: Path) -> None:
    ready = datasets.save_user_dataset(pets)
    shutil.rmtree(pets)
    shutil.rmtree(ready.folder)
    assert datasets.prepared("mine/my-pets") is None
    with pytest.raises(DataError, match=r"My Pets', which is gone, and so is the cached copy; put it back"):
        datasets.load("mine/my-pets")
    with pytest.raises(DataError, match="There is no folder or file"):
        datasets.save_user_dataset(pets)


def test_a_lost_copy_is_made_again(pets: Path) -> None:
    ready = datasets.save_user_dataset(pets)
    shutil.rmtree(ready.folder)
    assert datasets.prepared("mine/my-pets") is None
    assert datasets.load("mine/my-pets").fingerprint == ready.fingerprint
    assert datasets.prepared("mine/my-pets") is not None


def test_forgetting_takes_the_copy_and_leaves_the_source(pets: Path) -> None:
    ready = datasets.save_user_dataset(pets)
    datasets.forget(ready.name)
    assert ready.name not in datasets.specs()
    assert not ready.folder.exists()
    assert (pets / "cat" / "0.png").exists()
    with pytest.raises(DataError, match="You have no data set called 'mine/my-pets'"):
        datasets.forget(ready.name)


def test_two_names_of_one_path_share_a_copy_until_the_last_goes(pets: Path) -> None:
    first, second = datasets.save_user_dataset(pets), datasets.save_user_dataset(pets, "second")
    datasets.forget(first.name)
    assert datasets.prepared(second.name) is not None
    datasets.forget(second.name)
    assert not (cache.folder() / second.folder.name).exists()


def test_what_a_page_was_handed_goes_with_its_name(pets: Path) -> None:
    library.uploads().mkdir(parents=True)
    place = Path(shutil.make_archive(str(library.uploads() / "pets"), "zip", pets))
    ready = datasets.save_user_dataset(place)
    assert library.user_datasets()[ready.name].uploaded
    datasets.forget(ready.name)
    assert not place.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 99}'])
def test_a_broken_file_is_told_of_and_left_out(text: str) -> None:
    path = write(library.folder(), {"broken.json": text.encode()}) / "broken.json"
    assert path.exists()
    assert "mine/broken" not in datasets.specs()
    assert any("'broken.json' is left out" in problem for problem in datasets.problems())


def test_names_that_are_not_there_are_not_looked_for_elsewhere() -> None:
    with pytest.raises(UnknownDatasetError, match="There is no data set and no folder or file 'mine/cats'"):
        datasets.load("mine/cats")


def test_what_a_run_is_told_holds_in_any_folder(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets.parent)
    assert datasets.check("digits") == "digits"
    assert datasets.check("My Pets") == str(pets)
    assert datasets.check("owner/name") == "owner/name"
    with pytest.raises(UnknownDatasetError, match="no folder or file 'mine/none'"):
        datasets.check("mine/none")
