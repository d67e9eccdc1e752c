"""A run becomes a shipped checkpoint: what is written is what was measured, and says so."""

from pathlib import Path

import pytest
import torch

from cnnviz import datasets, tracking
from cnnviz.inference import InferenceError
from cnnviz.inference.predict import accuracy
from cnnviz.inference.weights import bundled, release
from cnnviz.inference.weights.bundled import read_card
from cnnviz.inference.weights.loaders import from_run
from cnnviz.tracking import Database
from cnnviz.training.data import Labelled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("half", [False, True])
def test_what_is_loaded_is_as_good_as_the_card_says(database: Database, folder: Path, half: bool) -> None:
    card = release.release_checkpoint(database, 1, "lenet5-digits", half=half, folder=folder)
    run = tracking.get_run(database, 1)
    measured = run.metrics["test/accuracy"].last
    assert card.before_rounding == measured
    loaded = bundled.load("lenet5-digits")
    assert (loaded.accuracy, loaded.source) == (card.accuracy, "checkpoint:lenet5-digits")
    test = Labelled(*datasets.load("digits").test.tensors())
    assert accuracy(loaded.model, loaded.preprocessing, test) == card.accuracy
    original = from_run(database, 1)
    for name, value in original.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value.half().float() if half else value)
    assert (loaded.classes, loaded.preprocessing) == (original.classes, original.preprocessing)
    assert not loaded.model.training
    assert bundled.names() == ["lenet5-digits"]
    assert sorted(path.name for path in (folder / "lenet5-digits").iterdir()) == [
        "card.md",
        "weights.safetensors",
    ]


def test_the_card_names_data_seed_versions_and_the_way_to_make_it_again(
    database: Database, folder: Path
) -> None:
    card = release.release_checkpoint(database, 1, "small", half=True, folder=folder, data_name="mine")
    text = (folder / "small" / "card.md").read_text(encoding="utf-8")
    run = tracking.get_run(database, 1)
    assert run.fingerprint is not None
    for said in (
        run.fingerprint,
        "seed 0",
        f"{100 * card.accuracy:.2f} %",
        "torch",
        '"dataset": "mine"',
        "61,706",
    ):
        assert said in text
    assert str(Path.cwd()) not in text


def test_a_named_recipe_is_made_again_by_one_command() -> None:
    from cnnviz.inference.weights.bundled import _again
    from cnnviz.training import all_recipes

    name, recipe = next(iter(all_recipes().items()))
    assert _again(recipe) == f"```\npython -m cnnviz train {name}\n```"
    assert "--set dataset=mnist-small --set epochs=3" in _again(
        recipe.changed({"dataset": "mnist-small", "epochs": 3})
    )


def test_what_cannot_ship_is_said_in_a_sentence(
    database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InferenceError, match="cannot be a name"):
        release.release_checkpoint(database, 1, "../out", half=False, folder=folder)
    assert release.main(["99", "name", "--folder", str(folder)]) == 2
    assert capsys.readouterr().err == "There is no run 99.\n"
    with pytest.raises(InferenceError, match="no shipped checkpoint 'nothing'; there are: none"):
        bundled.load("nothing")
    (folder / "broken").mkdir()
    (folder / "broken" / "weights.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InferenceError, match="not a safetensors file"):
        read_card(folder / "broken" / "weights.safetensors")


def test_the_command_writes_and_tells(
    database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.main(["1", "small", "--half", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("small: ")
    assert bundled.card("small").half
