"""Predictions on the command line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cnnviz import datasets, models
from cnnviz.cli import main
from cnnviz.inference.weights import bundled
from tests.datasets.making import encoded, pixels

Run = pytest.CaptureFixture[str]
TRAIN = ["train", "--dataset", "digits", "--epochs", "1", "--set", "limit=120", "--batch-size", "60"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_file(models.build("lenet5", 10).state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(encoded(pixels(number, (30, 40))))
    return folder


def test_json_is_a_list_of_files_with_their_answers(capsys: Run, weights: Path, pictures: Path) -> None:
    assert main(["predict", str(pictures), "--model", "lenet5", "--weights", str(weights), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in document] == [str(pictures / "0.png"), str(pictures / "1.png")]
    for entry in document:
        assert set(entry) == {"file", "predictions"}
        shares = [answer["probability"] for answer in entry["predictions"]]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert all(set(answer) == {"class", "probability"} for answer in entry["predictions"])


def test_a_refused_file_is_an_entry_and_exit_code_1(capsys: Run, weights: Path, pictures: Path) -> None:
    (pictures / "2.png").write_bytes(b"hello")
    options = ["--model", "lenet5", "--weights", str(weights), "--json", "--top", "1"]
    assert main(["predict", str(pictures), str(pictures / "missing.png"), *options]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [sorted(entry) for entry in document] == [["file", "predictions"]] * 2 + [["error", "file"]] * 2
    assert "is a text file" in document[2]["error"]
    assert "There is no file" in document[3]["error"]
    assert len(document[0]["predictions"]) == 1


def test_a_run_and_what_ships_are_asked(capsys: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnviz.inference.weights import release

    assert main(TRAIN) == 0
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "shipped")
    assert release.main(["1", "small", "--folder", str(tmp_path / "shipped")]) == 0
    test = datasets.load("digits").test
    for label in (3, 4):
        image = test.images[test.labels == label][0]
        path = tmp_path / "classes" / str(label) / "a.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(image[0]))
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "classes"), "--run", "1", "--json"]) == 0
    by_run = capsys.readouterr().out
    assert main(["predict", str(tmp_path / "classes"), "--checkpoint", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(by_run)
    assert main(["predict", str(tmp_path / "classes"), "--run", "1"]) == 0
    text = capsys.readouterr().out
    assert "of 2 are right" in text
    assert "The last checkpoint of run 1 (finished)." in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.png"], "Name one model"),
        (["a.png", "--run", "1", "--checkpoint", "x"], "Name one model"),
        (["a.png", "--model", "lenet5"], "Which weights of lenet5?"),
        (["a.png", "--run", "7"], "no run 7"),
        (["a.png", "--checkpoint", "nothing"], "no shipped checkpoint 'nothing'"),
        (["a.png", "--model", "lenet6", "--weights", "WEIGHTS"], "no model 'lenet6'"),
        (["a.png", "--model", "lenet5-1998", "--weights", "WEIGHTS"], "do not fit LeNet-5 (1998)"),
        (["a.png", "--weights", "WEIGHTS"], "name the model"),
        (["a.png", "--weights", "none.safetensors"], "'none.safetensors' cannot be read"),
        (["a.png", "--run", "1", "--top", "0"], "top"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    capsys: Run, weights: Path, arguments: list[str], sentence: str
) -> None:
    given = [str(weights) if word == "WEIGHTS" else word for word in arguments]
    assert main(["predict", *given]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
    assert captured.out == ""


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digits in dark ink on white paper, and the options that ask a network trained on light ones."""
    from cnnviz.inference.weights import release

    assert main(TRAIN) == 0
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "shipped")
    assert release.main(["1", "small", "--folder", str(tmp_path / "shipped")]) == 0
    test = datasets.load("digits").test
    (tmp_path / "paper").mkdir()
    for row in range(4):
        (tmp_path / "paper" / f"{row}.png").write_bytes(encoded(255 - test.images[row][0]))
        (tmp_path / f"{row}.png").write_bytes(encoded(test.images[row][0]))
    return [str(tmp_path / "paper"), "--checkpoint", "small"]


def test_ink_on_paper_gets_a_hint_and_invert_answers_as_for_light_on_dark(
    capsys: Run, tmp_path: Path, paper: list[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", *paper, "--json"]) == 0
    hinted = json.loads(capsys.readouterr().out)
    assert [[hint["kind"], hint["change"]] for entry in hinted for hint in entry["hints"]] == [
        ["brightness", "invert"]
    ] * 4
    assert main(["predict", *paper]) == 0
    text = capsys.readouterr().out
    assert "Hint for 4 of 4 images" in text
    assert "(here: --invert)" in text
    assert main(["predict", *paper, "--json", "--invert"]) == 0
    inverted = json.loads(capsys.readouterr().out)
    dark = [str(tmp_path / f"{row}.png") for row in range(4)]
    assert main(["predict", *dark, *paper[1:], "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [entry["predictions"] for entry in inverted] == [entry["predictions"] for entry in plain]
    assert all("hints" not in entry for entry in inverted)


@pytest.mark.parametrize("spelling", ["--center", "--centre"])
def test_center_answers_as_the_pages_do(capsys: Run, tmp_path: Path, paper: list[str], spelling: str) -> None:
    from cnnviz.inference.images.read_image import Upload
    from cnnviz.inference.predict import Prediction, Predictor

    loaded = bundled.load("small")
    how = loaded.preprocessing.changed(centre=True, invert=True)
    file = Path(paper[0]) / "0.png"
    (expected,) = Predictor(replace(loaded, preprocessing=how)).predict([Upload("0", file.read_bytes())])
    assert isinstance(expected, Prediction)
    capsys.readouterr()
    assert main(["predict", str(file), *paper[1:], "--invert", spelling, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert [answer["probability"] for answer in entry["predictions"]] == pytest.approx(
        [answer.probability for answer in expected.top]
    )


def test_a_picture_of_one_pixel_makes_no_library_warn(capsys: Run, tmp_path: Path, weights: Path) -> None:
    # Warnings are errors here. Decoded pixels are read-only, and of one pixel no copy had been made.
    (tmp_path / "one.png").write_bytes(encoded(np.zeros((1, 1), np.uint8)))
    assert main(["predict", str(tmp_path / "one.png"), "--model", "lenet5", "--weights", str(weights)]) == 0
    assert "Warning" not in capsys.readouterr().err


def test_the_command_shows_no_warnings_of_libraries(tmp_path: Path) -> None:
    warns = "import warnings, runpy, sys; sys.argv = ['cnnviz', '--version']\n"
    warns += "import cnnviz.cli as app\n"
    warns += "app.main = lambda: warnings.warn('of a library', UserWarning) or 0\n"
    warns += "runpy.run_module('cnnviz', run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", warns], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    shown = subprocess.run(
        [sys.executable, "-W", "default", "-c", warns], capture_output=True, text=True, check=True
    )
    assert "of a library" in shown.stderr
