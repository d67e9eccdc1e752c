"""Exports: each file gives the same logits where it is opened, and needs no cnnviz."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cnnviz.inference import InferenceError
from cnnviz.inference.export import export
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.inference.weights.loaders import fresh
from cnnviz.models.user_code import registration

ELSEWHERE = """
import sys


class Refuse:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("cnnviz", "torchvision", "net"):
            raise ImportError(name)


sys.meta_path.insert(0, Refuse())
import importlib

import torch

for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    model = importlib.import_module("model")
    with torch.no_grad():
        images = torch.load(f"{folder}/images.pt", weights_only=True)
        torch.save(model.load()(images), f"{folder}/logits.pt")
    del sys.path[0], sys.modules["model"]
"""


def logits(loaded: Loaded, images: Tensor) -> Tensor:
    with torch.no_grad():
        tensor: Tensor = loaded.model(images)
        return tensor


def some(loaded: Loaded, count: int = 3) -> Tensor:
    return torch.randn(count, *loaded.input_shape, generator=torch.Generator().manual_seed(0))


NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("lenet5", {}), ("lenet5", {"activation": "tanh"}), ("lenet5-1998", {}), ("googlenet-32", {})),
    *(("resnet18-32", {}), ("torchvision/mobilenet_v3_small", {}), ("torchvision/squeezenet1_1", {})),
)


def test_plain_pytorch_gives_the_same_logits_where_there_is_no_cnnviz(tmp_path: Path) -> None:
    networks = {}
    for number, (model, options) in enumerate(NETWORKS):
        loaded = fresh(model, options=options)
        networks[tmp_path / str(number)] = (loaded, some(loaded))
    for (folder, (loaded, images)), result in zip(networks.items(), run_elsewhere(networks), strict=True):
        expected = logits(loaded, images)
        assert torch.allclose(result, expected, atol=1e-6), NETWORKS[int(folder.name)]


def run_elsewhere(networks: Mapping[Path, tuple[Loaded, Tensor]]) -> list[Tensor]:
    """The logits of each folder's `model.py`, in one process that cannot import cnnviz or torchvision."""
    for folder, (loaded, images) in networks.items():
        folder.mkdir(exist_ok=True)
        for ending, content in export(loaded, "python", "model").files.items():
            (folder / f"model{ending}").write_bytes(content)
        torch.save(images, folder / "images.pt")
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *map(str, networks)],
        cwd=next(iter(networks)).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [torch.load(folder / "logits.pt", weights_only=True) for folder in networks]


def test_a_network_of_ones_own_that_depends_on_its_input_brings_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from cnnviz.training import Recipe
    from cnnviz.training.recipe import with_code

    monkeypatch.setenv(registration.VARIABLE, "")
    (tmp_path / "net.py").write_text(
        "from __future__ import annotations\nimport torch\nfrom torch import nn\n\n\n"
        "class Net(nn.Module):\n    def __init__(self, width=3, num_classes=4):\n        super().__init__()\n"
        "        self.fc = nn.Linear(16, num_classes)\n        self.width = width\n\n"
        "    def forward(self, x):\n        x = x.flatten(1)\n"
        "        return self.fc(x) if x.sum() > 0 else self.fc(-x) * self.width\n",
        encoding="utf-8",
    )
    registration.add(f"{tmp_path}/net.py:Net(width=5)@1x4x4")
    recipe = with_code(Recipe(model="file/Net"))
    loaded = replace(fresh("file/Net", classes=6), recipe=recipe)
    batches = (torch.ones(2, 1, 4, 4), -torch.ones(2, 1, 4, 4))
    folders = {tmp_path / f"elsewhere-{number}": (loaded, images) for number, images in enumerate(batches)}
    for images, result in zip(batches, run_elsewhere(folders), strict=True):
        assert torch.equal(result, logits(loaded, images))
    assert export(loaded, "python").notes == (
        "Its forward depends on its input, so the file holds its own source.",
    )


SEVERAL_OUTPUTS = """
from torch import nn

from parts import Block


class Several(nn.Module):
    def __init__(self, n_out=3):
        super().__init__()
        self.body, self.head = Block(), nn.LazyLinear(n_out)

    def forward(self, pixels):
        maps = self.body(pixels)
        return {"maps": maps, "logits": self.head(maps.flatten(1))}


class Depends(Several):
    def forward(self, pixels):
        if pixels.sum() > 0:
            pixels = -pixels
        return super().forward(pixels)
"""
BLOCK = """
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).relu() + x
"""


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of one's own with two outputs, a lazy layer and a module beside it."""
    monkeypatch.setenv(registration.VARIABLE, "")
    (tmp_path / "parts.py").write_text(BLOCK, encoding="utf-8")
    (tmp_path / "net.py").write_text(SEVERAL_OUTPUTS, encoding="utf-8")
    return tmp_path / "net.py"


def test_a_network_of_several_outputs_is_exported_with_the_one_that_is_trained(
    several: Path, tmp_path: Path
) -> None:
    registration.add(f"{several}:Several@1x8x8")
    loaded = fresh("file/Several")
    images = some(loaded)
    (result,) = run_elsewhere({tmp_path / "elsewhere": (loaded, images)})
    assert torch.allclose(result, logits(loaded, images), atol=1e-6)
    assert export(loaded, "python").notes == ()
    assert export(loaded, "python", "run-1").notes == (
        "'run-1.py' cannot be imported by its name; rename it to letters, digits and _.",
    )
    (content,) = export(loaded, "pt2").files.values()
    program = torch.export.load(io.BytesIO(content)).module()
    assert torch.allclose(program(images), logits(loaded, images), atol=1e-6)


def test_source_that_depends_on_its_input_is_one_file_and_gives_the_trained_output(
    several: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from cnnviz.training import Recipe
    from cnnviz.training.recipe import with_code

    def trained() -> Loaded:
        registration.add(f"{several}:Depends@1x8x8")
        return replace(fresh("file/Depends"), recipe=with_code(Recipe(model="file/Depends")))

    with pytest.raises(
        InferenceError, match=r"depends on its input's values, and its source is more than one file \(.*parts"
    ):
        export(trained(), "python")
    several.write_text(BLOCK + SEVERAL_OUTPUTS.replace("from parts import Block", ""), encoding="utf-8")
    loaded = trained()
    batches = (torch.ones(2, 1, 8, 8), -torch.ones(2, 1, 8, 8))
    folders = {tmp_path / f"elsewhere-{number}": (loaded, images) for number, images in enumerate(batches)}
    for images, result in zip(batches, run_elsewhere(folders), strict=True):
        assert torch.equal(result, logits(loaded, images))


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_branch_on_values_is_refused_in_one_sentence_and_nothing_is_printed(
    several: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    registration.add(f"{several}:Depends@1x8x8")
    with pytest.raises(InferenceError, match=r"its forward pass branches on the values of its input\.$"):
        export(fresh("file/Depends"), kind)
    assert capfd.readouterr() == ("", "")


def test_a_state_dict_is_plain() -> None:
    loaded = fresh("lenet5")
    (content,) = export(loaded, "pth").files.values()
    state = torch.load(io.BytesIO(content), weights_only=True)
    assert list(state) == list(loaded.model.state_dict())


def test_an_exported_program_takes_any_number_of_images() -> None:
    loaded = fresh("lenet5")
    (content,) = export(loaded, "pt2").files.values()
    program = torch.export.load(io.BytesIO(content)).module()
    for count in (1, 5):
        assert torch.allclose(program(some(loaded, count)), logits(loaded, some(loaded, count)), atol=1e-6)


@pytest.mark.parametrize("model", ["lenet5", "resnet18-32"])
def test_onnx_gives_the_same_logits_and_holds_no_code(model: str) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    loaded = fresh(model)
    (content,) = export(loaded, "onnx").files.values()
    for word in (b"stack_trace", b"forward(self", str(Path(__file__).parents[3]).encode()):
        assert word not in content
    onnx.checker.check_model(content)
    session = onnxruntime.InferenceSession(content)
    for count in (1, 4):
        images = some(loaded, count)
        (result,) = session.run(["logits"], {"image": images.numpy()})
        assert np.allclose(result, logits(loaded, images).numpy(), atol=1e-4)


def test_what_cannot_be_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InferenceError, match="A format is onnx, pt2, pth, python, not 'h5'"):
        export(fresh("lenet5"), "h5")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        InferenceError, match=r"ONNX needs the package onnxscript: pip install 'cnnviz\[onnx\]'"
    ):
        export(fresh("lenet5"), "onnx")
