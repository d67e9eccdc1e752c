"""Looking inside on the command line: the numbers in the files are the library's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.cli.app import main
from cnnviz.cli.commands.features import Attributing, Ordering
from cnnviz.interpret.attribution import METHODS, attribute
from cnnviz.interpret.ordering import ORDERS
from tests.datasets.making import encoded, pixels

Run = pytest.CaptureFixture[str]


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(3)
    return models.build("lenet5", 10).eval()


@pytest.fixture
def options(tmp_path: Path, model: nn.Module) -> list[str]:
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    return ["--model", "lenet5", "--weights", str(tmp_path / "w.safetensors")]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encoded(pixels(0, (28, 28), 1)))
    return tmp_path / "a.png"


def image() -> torch.Tensor:
    return torch.from_numpy(pixels(0, (28, 28), 1))[None, None] / 255


def test_activations_are_those_of_a_plain_hook(
    capsys: Run, tmp_path: Path, model: nn.Module, options: list[str], picture: Path
) -> None:
    files = ["--png", str(tmp_path / "m.png"), "--npz", str(tmp_path / "m.npz")]
    assert main(["features", str(picture), "--layer", "conv2", *options, *files]) == 0
    seen: list[torch.Tensor] = []
    model.get_submodule("conv2").register_forward_hook(lambda part, args, out: seen.append(out.clone()))
    with torch.no_grad():
        model(image())
    with np.load(tmp_path / "m.npz") as file:
        found = dict(file)
    assert found["activations"].dtype == np.float32
    assert (found["activations"] == seen[0][0].numpy()).all()
    assert (found["input"] == image()[0].numpy()).all()
    with Image.open(tmp_path / "m.png") as drawn:
        assert drawn.width >= 400
    assert "conv2: 16 maps of 10×10" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS[:2])
def test_attributions_are_the_librarys(
    capsys: Run, tmp_path: Path, model: nn.Module, options: list[str], picture: Path, method: str
) -> None:
    files = ["--png", str(tmp_path / "m.png"), "--npz", str(tmp_path / "m.npz")]
    wanted = ["--attribution", method, "--class", "7"]
    assert main(["features", str(picture), *wanted, *options, *files]) == 0
    expected = attribute(model, image(), method, 7, analysis=analyze("lenet5"))  # type: ignore[arg-type]
    with np.load(tmp_path / "m.npz") as file:
        values = file["attribution"]
    assert values == pytest.approx(expected.values, rel=1e-5, abs=1e-8)
    with Image.open(tmp_path / "m.png") as drawn:
        assert drawn.size == (784, 784)
    assert "for class 7" in capsys.readouterr().out


def test_fresh_weights_are_said_to_be_fresh(capsys: Run, picture: Path) -> None:
    assert (
        main(["features", str(picture), "--layer", "pool1", "--model", "lenet5", "--order", "activity"]) == 0
    )
    assert "nothing was learned" in capsys.readouterr().out


def test_a_broken_picture_is_one_line_and_exit_code_1(capsys: Run, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"hello")
    assert main(["features", str(tmp_path / "b.png"), "--layer", "conv1", "--model", "lenet5"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "lenet5"], "Name a layer"),
        (["--layer", "conv1"], "Name one model"),
        (["--layer", "konv1", "--model", "lenet5"], "no layer 'konv1'; it has 'conv1'"),
        (["--layer", "conv1", "--model", "lenet5", "--class", "3"], "belongs to --attribution"),
        (["--attribution", "gradcam", "--model", "lenet5", "--class", "10"], "classes 0 to 9"),
        (["--attribution", "lime", "--model", "lenet5"], "gradcam"),
        (["--layer", "conv1", "--model", "lenet5", "--png", "/nowhere/a.png"], "/nowhere/a.png"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    capsys: Run, picture: Path, arguments: list[str], sentence: str
) -> None:
    assert main(["features", str(picture), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_the_command_line_offers_all_that_the_library_has() -> None:
    assert tuple(Attributing) == METHODS
    assert tuple(Ordering) == ORDERS
