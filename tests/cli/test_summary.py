"""The command line as a user meets it: output, exit codes, and errors in one line."""

import csv
import io
import json
from pathlib import Path

import pytest

from cnnviz.cli import main
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear

OWN = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes=4):
        last = nn.Linear(2, num_classes)
        super().__init__(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
"""
Run = pytest.CaptureFixture[str]


def run(capsys: Run, *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_models_lists_every_model(capsys: Run) -> None:
    listed = json.loads(run(capsys, "models", "--json"))
    assert len(listed) == 94
    by_name = {entry["name"]: entry for entry in listed}
    assert by_name["alexnet-cifar10"]["params"] == 58_292_074
    assert "activation" in by_name["alexnet"]["options"]
    assert len(run(capsys, "models").splitlines()) == 2 + 94


def test_summary_as_text(capsys: Run) -> None:
    text = run(capsys, "summary", "alexnet-cifar10")
    assert "96·(3·4·4 + 1) = 4,704" in text
    assert "58,292,074 parameters" in text
    assert "activations (forward and backward) 8.26 MiB" in text
    assert "6.4 % convolutional, 93.6 % fully connected" in text


def test_summary_as_json(capsys: Run) -> None:
    document = json.loads(
        run(capsys, "summary", "lenet5", "--json", "--classes", "3", "--input-size", "32x36")
    )
    assert document["input_size"] == [32, 36]
    assert document["layers"][-1]["output_shape"] == [3]


def test_summary_as_csv_and_markdown(capsys: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run(capsys, "summary", "lenet5", "--csv"))))
    assert rows[0]["formula"] == "6·(1·5·5 + 1) = 156"
    assert run(capsys, "summary", "lenet5", "--markdown").startswith("| layer |")


def test_options_and_batch_are_heard(capsys: Run) -> None:
    given = ("--option", "towers=2", "--batch", "2", "--json")
    document = json.loads(run(capsys, "summary", "--model", "alexnet", *given))
    assert document["total_params"] == 60_965_224
    assert document["batch"] == 2


def test_two_models_print_their_difference(capsys: Run) -> None:
    document = json.loads(run(capsys, "summary", "alexnet-cifar10", "small-alexnet", "--json"))
    changed = {change["a"] for change in document["changes"] if change["status"] == "changed"}
    assert {"conv1", "fc1"} <= changed
    text = run(capsys, "summary", "alexnet-cifar10", "small-alexnet")
    assert "kernel 4 → 7" in text
    assert "-45,874,976" in text
    assert run(capsys, "summary", "lenet5", "lenet5", "--markdown").count("| same |") == 12
    assert run(capsys, "summary", "lenet5", "lenet5", "--csv").startswith("change,")


def test_a_layer_list_and_a_file_are_models(capsys: Run, tmp_path: Path) -> None:
    layers = LayerList(input=(1, 8, 8), layers=(Conv(out=2), Flatten(), Linear()))
    document = tmp_path / "mine.json"
    document.write_text(layers.write(), encoding="utf-8")
    assert json.loads(run(capsys, "summary", str(document), "--json"))["total_params"] == 750
    code = tmp_path / "mine.py"
    code.write_text(OWN, encoding="utf-8")
    found = json.loads(
        run(capsys, "summary", "--model", f"{code}:Net", "--input-size", "16", "--classes", "5", "--json")
    )
    assert found["total_params"] == 56 + 15


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["summary", "alexnett"], "did you mean"),
        (["summary"], "Give one model"),
        (["summary", "a", "b", "c"], "Give one model"),
        (["summary", "lenet5", "--classes", "x"], "integer"),
        (["summary", "lenet5", "--classes", "0"], "from 1 to 100,000 classes"),
        (["summary", "lenet5", "--input-size", "3x32x32"], "reads 1 channel, not 3"),
        (["summary", "lenet5", "--input-size", "1x2x3x4"], "HxW"),
        (["summary", "lenet5", "--input-size", "-3"], "HxW"),
        (["summary", "googlenet", "--input-size", "32"], "smallest input that works"),
        (["summary", "lenet5", "--option", "dropout"], "K=V"),
        (["summary", "alexnet", "--option", "towers=3"], "can be 1 or 2"),
        (["summary", "lenet5", "--batch", "0"], "at least one image"),
        (["summary", "lenet5", "--json", "--csv"], "Choose one"),
        (["summary", "missing.json"], "missing.json"),
        (["summary", "missing.py:Net"], "missing.py"),
        (["summary", "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(capsys: Run, arguments: list[str], sentence: str) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
