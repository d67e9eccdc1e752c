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
from cnnviz.cli import main
from cnnviz.cli.commands.predict import Attributing, Ordering
from cnnviz.interpret.attribution import METHODS, attribute
from cnnviz.interpret.mosaic import ORDERS
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
        result = dict(file)
    assert result["activations"].dtype == np.float32
    assert (result["activations"] == seen[0][0].numpy()).all()
    assert (result["input"] == image()[0].numpy()).all()
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


def test_a_folder_is_attributed_image_by_image(capsys: Run, tmp_path: Path, options: list[str]) -> None:
    folder, into = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a b.png", "c.png"):
        (folder / name).write_bytes(encoded(np.arange(784, dtype=np.uint8).reshape(28, 28)))
    (folder / "d.png").write_bytes(b"no image")
    given = ["features", str(folder), "--attribution", "gradcam", "--into", str(into), *options]
    assert main(given) == 1, "one of them could not be read"
    assert "d.png" in capsys.readouterr().err
    lines = (into / "attributions.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["0001-a-b.png", "0002-c.png"]
    assert sorted(one.name for one in into.glob("*.png")) == ["0001-a-b.png", "0002-c.png"]
    assert main(["features", str(folder), "--layer", "conv1", "--into", str(into), *options]) == 2
    assert "--into goes with --attribution" in capsys.readouterr().err


def test_the_command_line_offers_all_that_the_library_has() -> None:
    assert tuple(Attributing) == METHODS
    assert tuple(Ordering) == ORDERS


def test_a_blank_picture_is_said_to_be_why_a_map_is_blank(
    capsys: Run, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "blank.png").write_bytes(encoded(np.zeros((28, 28), np.uint8)))
    assert main(["features", str(tmp_path / "blank.png"), "--attribution", "occlusion", *options]) == 0
    assert "The image has the same value everywhere" in capsys.readouterr().out
    assert main(["features", str(tmp_path / "blank.png"), "--layer", "conv1", *options]) == 0
    assert "6 with one value everywhere" in capsys.readouterr().out


def test_invert_and_center_change_what_is_looked_at(tmp_path: Path, options: list[str]) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[2:12, 3:9] = 200
    (tmp_path / "plain.png").write_bytes(encoded(image))
    (tmp_path / "paper.png").write_bytes(encoded(255 - image))

    def seen(name: str, *more: str) -> np.ndarray:
        wanted = ["features", str(tmp_path / name), "--layer", "conv1", "--npz", str(tmp_path / "m.npz")]
        assert main([*wanted, *options, *more]) == 0
        with np.load(tmp_path / "m.npz") as file:
            image: np.ndarray = file["input"][0]
        return image

    assert (seen("paper.png", "--invert") == seen("plain.png")).all()
    rows, columns = np.nonzero(seen("plain.png", "--center") > 0.2)
    assert (rows.min(), rows.max()) == (4, 23)
    assert columns.mean() == pytest.approx(13.5, abs=0.5)
