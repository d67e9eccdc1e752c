"""A stranger's ONNX file on the command line: its table, its maps, its answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz.cli import main
from cnnviz.models.user_code import registration
from tests.models.external import onnx_files

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(registration.VARIABLE, "")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "image.png")
    path: Path = onnx_files.write(onnx_files.small(), tmp_path / "my net.onnx")
    return path


def test_summary_and_the_difference_to_another(net: Path, capsys: Capture) -> None:
    assert main(["summary", "--model", str(net), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_params"] == 40 + 195
    assert main(["summary", str(net), "lenet5"]) == 0
    assert "LeNet-5" in capsys.readouterr().out


def test_predict_and_what_is_said_is_kept_beside_it(net: Path, capsys: Capture) -> None:
    names = net.parent / "names.txt"
    names.write_text("cat\ndog\nowl\n", encoding="utf-8")
    image = str(net.parent / "image.png")
    assert main(["predict", "--model", str(net), "--classes", str(names), image, "--json"]) == 0
    capsys.readouterr()
    assert main(["predict", "--model", str(net), image, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["class"] for one in found[0]["predictions"]} == {"cat", "dog", "owl"}


def test_features_of_a_layer_and_of_one_that_there_is_not(net: Path, capsys: Capture) -> None:
    target, image = net.parent / "maps.npz", str(net.parent / "image.png")
    assert main(["features", "--model", str(net), "--layer", "conv1", "--npz", str(target), image]) == 0
    with np.load(target) as stored:
        assert stored["activations"].shape == (4, 8, 8)
    assert main(["features", "--model", str(net), "--layer", "conv9", image]) == 2
    assert "The model has no layer 'conv9'" in capsys.readouterr().err


def test_gradients_there_are_none(net: Path, capsys: Capture) -> None:
    image = str(net.parent / "image.png")
    assert main(["features", "--model", str(net), "--attribution", "saliency", image]) == 2
    assert "no gradients, which Saliency needs; Occlusion works without" in capsys.readouterr().err
    assert main(["features", "--model", str(net), "--attribution", "occlusion", image]) == 0


def test_it_is_not_trained(net: Path, capsys: Capture) -> None:
    assert main(["train", "--model", str(net), "--dataset", "digits"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("can be looked at but not trained") == 1
    assert errors.count("\n") == 1
