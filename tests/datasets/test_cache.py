"""The cache: whole or absent, made once, opened without the source, and never in two minds."""

import dataclasses
import errno
import multiprocessing
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from filelock import FileLock

from cnnviz import datasets
from cnnviz.datasets import DataError, Step, cache, encoded_store, registry
from cnnviz.datasets.sources import shapes

SMALL = {"train": 20, "test": 10, "size": 8}


def _entries() -> set[str]:
    return {path.name for path in cache.folder().iterdir() if path.suffix != ".lock"}


def test_the_second_time_the_source_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first = datasets.load("shapes", SMALL)
    monkeypatch.setattr(shapes, "draw", None)
    again = datasets.load("shapes", SMALL)
    assert again.fingerprint == first.fingerprint
    assert again.train.images.tobytes() == first.train.images.tobytes()
    assert isinstance(again.train.images, np.memmap)


def test_other_options_are_another_entry_and_the_defaults_are_one() -> None:
    assert datasets.load("shapes", SMALL).shape == (3, 8, 8)
    assert datasets.load("shapes", SMALL | {"size": "9"}).shape == (3, 9, 9)
    assert len(_entries()) == 2
    datasets.load("shapes", SMALL | {"size": 8, "seed": 0})
    assert len(_entries()) == 2


def test_options_are_checked_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="Option 'size' cannot be 4; it can be a number from 8 to 256"):
        datasets.load("shapes", {"size": 4})


def test_a_new_revision_of_a_loader_makes_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.load("shapes", SMALL)
    newer = dataclasses.replace(registry.get("shapes"), revision=2)
    monkeypatch.setitem(registry._SPECS, "shapes", newer)
    assert datasets.prepared("shapes", SMALL) is None
    datasets.load("shapes", SMALL)
    assert len(_entries()) == 1


def test_writing_to_an_image_changes_nothing_on_disk() -> None:
    ready = datasets.load("shapes", SMALL)
    before = ready.train.images[0].copy()
    ready.train.images[0] ^= 255
    assert (datasets.load("shapes", SMALL).train.images[0] == before).all()


@pytest.mark.parametrize("damage", ["truncate", "remove", "garble"])
def test_a_damaged_entry_is_made_again(damage: str) -> None:
    ready = datasets.load("shapes", SMALL)
    path = cache.images_path(ready.folder, "test")
    if damage == "truncate":
        os.truncate(path, 100)
    elif damage == "remove":
        path.unlink()
    else:
        (ready.folder / cache.ABOUT).write_text("{")
    assert datasets.prepared("shapes", SMALL) is None
    assert datasets.load("shapes", SMALL).fingerprint == ready.fingerprint


def test_what_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "write_labels", fail)
    with pytest.raises(DataError, match="is full; make room, or set CNNVIZ_HOME"):
        datasets.load("shapes", SMALL)
    assert _entries() == set()


def test_space_is_asked_for_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_000_000))
    with pytest.raises(DataError, match=r"MB are needed in .* and 1 MB are free"):
        datasets.load("shapes", SMALL)


def test_the_space_that_is_kept_free_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(6_000_000))
    with pytest.raises(DataError) as error:
        encoded_store.require_space(tmp_path / "data", 1_000_000)
    text = str(error.value)
    assert text.startswith("1 MB are needed")
    assert "beside 34 MB that stay free" in text
    assert "and 6 MB are free" in text


def test_a_folder_that_forbids_writing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbid(path: Path, *_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cache, "_put", forbid)
    with pytest.raises(
        DataError, match=r"cannot be written \(Permission denied\); set CNNVIZ_HOME to a folder that can"
    ):
        datasets.load("shapes", SMALL)


def test_a_home_that_is_a_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file/cache.* cannot be written \(Not a directory\)"):
        datasets.load("shapes", SMALL)


def _prepare_and_die(home: str) -> None:
    os.environ["CNNVIZ_HOME"] = home
    datasets.load("shapes", SMALL, progress=lambda step: os._exit(9) if step.stage == "fingerprint" else None)


def test_a_killed_process_leaves_nothing_that_looks_whole() -> None:
    """It dies when the arrays are written and the description is not; the next one starts again."""
    process = multiprocessing.get_context("spawn").Process(
        target=_prepare_and_die, args=(os.environ["CNNVIZ_HOME"],)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    (left,) = _entries()
    assert left.endswith(".tmp")
    assert datasets.prepared("shapes", SMALL) is None
    ready = datasets.load("shapes", SMALL)
    assert _entries() == {ready.folder.name}


def test_two_processes_do_not_do_the_same_work() -> None:
    """The second waits, says so, and opens what the first made."""
    ready = datasets.load("shapes", SMALL)
    elsewhere = ready.folder.with_name("elsewhere")
    ready.folder.rename(elsewhere)
    lock = FileLock(ready.folder.with_name(f"{ready.folder.name}.lock"))
    lock.acquire()
    seen: list[str] = []

    def watch(step: Step) -> None:
        seen.append(step.stage)
        elsewhere.rename(ready.folder)
        lock.release()

    assert datasets.load("shapes", SMALL, watch).fingerprint == ready.fingerprint
    assert seen == ["waiting for another process that prepares the same data"]


def test_whoever_waits_for_another_process_can_give_up() -> None:
    ready = datasets.load("shapes", SMALL)
    elsewhere = ready.folder.with_name("elsewhere")
    ready.folder.rename(elsewhere)
    seen: list[str] = []

    def give_up(step: Step) -> None:
        seen.append(step.stage)
        if len(seen) == 2:
            raise InterruptedError(step.stage)

    with (
        FileLock(ready.folder.with_name(f"{ready.folder.name}.lock")),
        pytest.raises(InterruptedError, match="waiting for another process"),
    ):
        datasets.load("shapes", SMALL, give_up)
    assert _entries() == {"elsewhere"}
