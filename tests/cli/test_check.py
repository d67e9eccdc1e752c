"""`cnnviz check` as a user meets it: sentences, JSON, exit codes; and the same faults in other commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cnnviz.analysis.checks import checks
from cnnviz.cli import main

Printed = pytest.CaptureFixture[str]
BODY: list[dict[str, Any]] = [
    {"kind": "conv", "out": 4},
    {"kind": "activation"},
    {"kind": "pool"},
    {"kind": "flatten"},
    {"kind": "linear"},
]
SIGMOID = {"kind": "activation", "function": "sigmoid", "name": "squash"}
OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, num_classes)

    def forward(self, x):
        return torch.softmax(self.fc(torch.relu(self.conv(x)).mean((2, 3))), 1)
"""


@pytest.fixture
def listed(tmp_path: Path) -> Any:
    """Write a layer list with these layers behind the body, and return its path."""

    def write(*last: dict[str, Any], input_shape: tuple[int, int, int] = (1, 8, 8)) -> str:
        path = tmp_path / "net.json"
        path.write_text(json.dumps({"name": "net", "input": input_shape, "layers": [*BODY, *last]}))
        return str(path)

    return write


def checked(capsys: Printed, code: int, *arguments: str) -> str:
    assert main(["check", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_a_sound_model_gets_a_line_and_exit_code_0(capsys: Printed) -> None:
    assert checked(capsys, 0, "lenet5") == f"LeNet-5: nothing found by {len(checks())} checks.\n"


def test_notes_alone_leave_the_exit_code_at_0(capsys: Printed) -> None:
    text = checked(capsys, 0, "vgg16-bn-32")
    assert "1 note by" in text
    assert "bias-before-norm" in text


def test_an_output_activation_is_an_error_with_its_floor_and_exit_code_1(
    capsys: Printed, listed: Any
) -> None:
    text = checked(capsys, 1, listed(SIGMOID))
    assert "error: Activation on the outputs (output-activation)" in text
    assert "1.461" in text


def test_warnings_without_an_error_have_exit_code_3(capsys: Printed, listed: Any) -> None:
    document = json.loads(checked(capsys, 3, listed({"kind": "linear"}), "--json"))
    (problem,) = document["problems"]
    assert (problem["check"], problem["severity"]) == ("missing-activation", "warning")
    assert problem["layers"] == ["linear1", "linear2"]


def test_a_layer_list_that_does_not_fit_is_an_error_of_the_model_and_not_of_the_command(
    capsys: Printed, listed: Any
) -> None:
    document = json.loads(checked(capsys, 1, listed(input_shape=(1, 2, 2)), "--json"))
    assert document["problems"][0]["check"] == "misfit"


def test_a_python_file_is_checked_and_a_function_on_its_outputs_found(
    capsys: Printed, tmp_path: Path
) -> None:
    path = tmp_path / "net.py"
    path.write_text(OWN)
    document = json.loads(checked(capsys, 1, f"{path}:Net", "--input-size", "24", "--json"))
    assert [one["check"] for one in document["problems"]] == ["output-activation"]
    assert "softmax" in document["problems"][0]["message"]
    checked(capsys, 1, "--model", f"{path}:Net", "--input-size", "24")


def test_the_checks_are_listed_with_their_sources(capsys: Printed) -> None:
    document = json.loads(checked(capsys, 0, "--list", "--json"))
    assert [one["check"] for one in document] == list(checks())
    assert all(one["reference"] for one in document)
    assert "output-activation" in checked(capsys, 0, "--list")


def test_the_exit_codes_are_in_the_help(capsys: Printed) -> None:
    assert main(["check", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit code 0" in text
    assert "1: an error" in text
    assert "3: warnings" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "Give a model"), (["lenet"], "did you mean"), (["gone.json"], "gone.json")],
)
def test_a_wrong_use_is_one_sentence_and_exit_code_2(
    capsys: Printed, arguments: list[str], sentence: str
) -> None:
    assert main(["check", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err


def test_summary_says_errors_and_warnings_under_the_table(capsys: Printed, listed: Any) -> None:
    path = listed(SIGMOID)
    assert main(["summary", path]) == 0
    text = capsys.readouterr().out
    assert "error: The outputs pass through sigmoid ('squash')" in text
    assert f"cnnviz check {path}" in text
    assert main(["summary", "vgg16-bn-32"]) == 0
    assert "cnnviz check" not in capsys.readouterr().out


def test_train_says_once_on_stderr_what_is_wrong_before_it_starts(
    capsys: Printed, listed: Any, tmp_path: Path
) -> None:
    layers = json.loads(Path(listed(SIGMOID)).read_text())
    recipe = {"name": "squashed", "layers": layers, "dataset": "digits", "limit": 64, "epochs": 1}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"format": "cnnviz-recipe/1", **recipe}))
    assert main(["train", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("error: The outputs pass through sigmoid ('squash')") == 1
    assert json.loads(printed.out)["status"] == "finished"
