"""References to models: what they name, what there is to choose from, and fresh and foreign weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cnnviz import models
from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled, loaders, references, release
from cnnviz.inference.weights.loaders import from_file
from cnnviz.tracking import Database


def test_pages_open_on_the_default_among_what_ships() -> None:
    assert bundled.names()[0] == bundled.DEFAULT
    assert "lenet5-1998-mnist" in bundled.names()
    assert references.choices()[0].reference == f"checkpoint:{bundled.DEFAULT}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    return tmp_path


def test_what_there_is_can_be_loaded(database: Database, folder: Path) -> None:
    release.release_checkpoint(database, 1, "small", half=True, folder=folder)
    offered = references.choices(database)
    assert [choice.reference for choice in offered] == ["checkpoint:small", "run:1"]
    assert [choice.status for choice in offered] == ["shipped", "finished"]
    for choice in offered:
        loaded = references.load(choice.reference, database)
        assert (loaded.source, loaded.spec.name) == (choice.reference, choice.model)
        assert (loaded.dataset, loaded.accuracy) == (choice.dataset, choice.accuracy)
        assert references.stamp(choice.reference, database).startswith(choice.reference)


def test_a_stamp_changes_with_the_checkpoint(database: Database, folder: Path) -> None:
    release.release_checkpoint(database, 1, "small", half=True, folder=folder)
    before = references.stamp("checkpoint:small")
    assert before == references.stamp("checkpoint:small")
    release.release_checkpoint(database, 1, "small", half=False, folder=folder)
    assert references.stamp("checkpoint:small") != before


def test_fresh_weights_are_said_to_be_fresh_and_always_the_same() -> None:
    state = torch.get_rng_state()
    one, two = (references.load("fresh:lenet5") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert not one.trained
    assert one.notes[0].startswith("Fresh weights: nothing was learned")
    ours, theirs = one.model.state_dict(), two.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not one.model.training


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("lenet5", "names no model; what does is"),
        ("run:", "names no model"),
        ("run:x", "A run has a number, not 'x'"),
        ("run:1/first", "last or best"),
        ("run:99", "no run 99"),
        ("checkpoint:../x", "no shipped checkpoint"),
        ("fresh:lenet6", "no model 'lenet6'"),
        ("torchvision:resnet19", "no model 'torchvision/resnet19'"),
    ],
)
def test_a_reference_to_nothing_is_a_sentence(
    database: Database, folder: Path, reference: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        references.load(reference, database)
    with pytest.raises(InferenceError, match="none was opened"):
        references.load("run:1")


def test_checkpoints_of_runs_are_files_too(database: Database, folder: Path) -> None:
    from cnnviz import tracking

    run = tracking.get_run(database, 1)
    loaded = from_file(tracking.run_folder(1, run.key) / "last.safetensors")
    assert loaded.preprocessing == references.load("run:1", database).preprocessing
    release.release_checkpoint(database, 1, "small", half=True, folder=folder)
    card = from_file(folder / "small" / "weights.safetensors", "lenet5")
    assert (card.accuracy, card.classes) == (bundled.card("small").accuracy, loaded.classes)


def _fake(name: str) -> dict[str, Any]:
    torch.manual_seed(1)
    return dict(models.build(f"torchvision/{name}").state_dict())


def test_torchvisions_own_weights_bring_their_classes_and_transforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = _fake("squeezenet1_1")
    entry = loaders.weights_entry("torchvision/squeezenet1_1")

    def fetched(self: object, **_: object) -> dict[str, Any]:
        return weights

    monkeypatch.setattr(type(entry), "get_state_dict", fetched)
    loaded = references.load("torchvision:squeezenet1_1")
    assert (loaded.classes[0], len(loaded.classes)) == ("tench", 1000)
    assert loaded.preprocessing.scale == "unit-standardised"
    assert loaded.accuracy == pytest.approx(0.58178)
    path = tmp_path / entry.url.rpartition("/")[2]
    save_file(weights, path)
    given = from_file(path, "torchvision/squeezenet1_1")
    assert (given.classes, given.accuracy) == (loaded.classes, loaded.accuracy)
    path = path.rename(tmp_path / "mine.safetensors")
    assert from_file(path, "torchvision/squeezenet1_1").accuracy is None


def test_torchvisions_weights_that_cannot_be_had_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = loaders.weights_entry("torchvision/squeezenet1_1")

    def offline(self: object, **_: object) -> dict[str, Any]:
        raise OSError("no route")

    monkeypatch.setattr(type(entry), "get_state_dict", offline)
    with pytest.raises(InferenceError, match="could not be downloaded"):
        references.load("torchvision:squeezenet1_1")


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from cnnviz.inference import samples\n"
        "from cnnviz.inference.images import preprocessing, preprocessing_trace, read_image\n"
        "from cnnviz.inference.weights import references\n"
        "references.choices()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
