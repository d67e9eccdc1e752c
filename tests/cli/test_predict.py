"""Predictions on the command line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cnnviz import datasets, models
from cnnviz.cli.app import main
from cnnviz.inference import shipped
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
    found = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in found] == [str(pictures / "0.png"), str(pictures / "1.png")]
    for entry in found:
        assert set(entry) == {"file", "predictions"}
        shares = [answer["probability"] for answer in entry["predictions"]]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert all(set(answer) == {"class", "probability"} for answer in entry["predictions"])


def test_a_refused_file_is_an_entry_and_exit_code_1(capsys: Run, weights: Path, pictures: Path) -> None:
    (pictures / "2.png").write_bytes(b"hello")
    options = ["--model", "lenet5", "--weights", str(weights), "--json", "--top", "1"]
    assert main(["predict", str(pictures), str(pictures / "missing.png"), *options]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [sorted(entry) for entry in found] == [["file", "predictions"]] * 2 + [["error", "file"]] * 2
    assert "is a text file" in found[2]["error"]
    assert "There is no file" in found[3]["error"]
    assert len(found[0]["predictions"]) == 1


def test_a_run_and_what_ships_are_asked(capsys: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnviz.inference import shipping

    assert main(TRAIN) == 0
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    assert shipping.main(["1", "small", "--folder", str(tmp_path / "shipped")]) == 0
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
