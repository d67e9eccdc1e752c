"""Weights as people bring them: with a prefix, nested, of Lightning, in a Hugging Face folder, with facts."""

from __future__ import annotations

import argparse
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from cnnviz import models
from cnnviz.cli import main
from cnnviz.inference import InferenceError
from cnnviz.inference.weights import weights_facts
from cnnviz.inference.weights.loaders import from_file, from_path
from cnnviz.inference.weights.weights_facts import WeightsFacts
from cnnviz.inference.weights.weights_file import match_state_dict, suggest_fix


def lenet() -> dict[str, Any]:
    torch.manual_seed(0)
    return models.build("lenet5").state_dict()


def prefixed(prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in lenet().items()}


class AttributeDict(dict):  # type: ignore[type-arg]
    """Stands for Lightning's; pickled under its name."""


WAYS: dict[str, tuple[Any, str]] = {
    "one prefix": (prefixed("net."), "The prefix 'net.' was taken off every name."),
    "two prefixes": (prefixed("module.model."), "The prefix 'module.model.' was taken off every name."),
    "lightning": (
        {"state_dict": prefixed("net."), "epoch": 3, "hyper_parameters": argparse.Namespace(lr=0.1)},
        "The weights lay under 'state_dict' in the file.",
    ),
    "nested": ({"encoder": lenet(), "epoch": 1}, "The weights lay under 'encoder' in the file."),
    "nested deeper": ({"train": {"net": {"inner": lenet()}}}, "The weights lay under 'train.net.inner'"),
    "beside an optimizer": (
        {"ours": lenet(), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
        "The weights lay under 'ours' in the file.",
    ),
    "of two networks": (
        {"discriminator": {"a": torch.zeros(2)}, "generator": lenet()},
        "Taken are the weights under 'generator.'; left out: discriminator.a.",
    ),
    "with a loss": (prefixed("net.") | {"criterion.weight": torch.ones(10)}, "left out: criterion.weight."),
    "with a path": ({"model": lenet(), "where": Path("a/b")}, "The weights lay under 'model' in the file."),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_they_are_found_and_it_is_said_where(way: str, tmp_path: Path) -> None:
    held, note = WAYS[way]
    torch.save(held, tmp_path / "own.ckpt")
    found = from_file(tmp_path / "own.ckpt", "lenet5")
    assert any(note in said for said in found.notes), found.notes
    state = found.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in lenet().items())


def test_weights_that_are_left_out_are_named(tmp_path: Path) -> None:
    torch.save({"model": lenet(), "ema": lenet(), "optimizer": {"state": lenet()}}, tmp_path / "own.pth")
    found = from_file(tmp_path / "own.pth", "lenet5")
    assert "The weights lay under 'model' in the file; those under 'ema' are left out." in found.notes


def test_lightnings_own_dictionary_is_read_without_lightning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "lightning.fabric.utilities.data"
    for count in range(1, 5):  # pickle imports what it is about to name
        part = ".".join(name.split(".")[:count])
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setattr(AttributeDict, "__module__", name)
    monkeypatch.setattr(sys.modules[name], "AttributeDict", AttributeDict, raising=False)
    torch.save({"state_dict": lenet(), "hyper_parameters": AttributeDict(lr=0.1)}, tmp_path / "own.ckpt")
    assert from_file(tmp_path / "own.ckpt", "lenet5").trained


def test_a_prefix_that_the_names_lack_is_put_before_them() -> None:
    inner = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    outer = nn.ModuleDict({"net": inner})
    named, notes = match_state_dict(outer.state_dict(), inner.state_dict(), "Net")
    assert set(named) == {"net.0.weight", "net.0.bias"}
    assert notes == ("The prefix 'net.' was put before every name.",)


def shapes(**named: tuple[int, ...]) -> dict[str, Any]:
    return {name.replace("_", "."): torch.zeros(shape) for name, shape in named.items()}


NET = shapes(conv_weight=(4, 3, 3, 3), conv_bias=(4,), fc_weight=(10, 4), fc_bias=(10,))


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (shapes(a_w=(4, 3, 3, 3), a_b=(4,), b_w=(10, 4), b_b=(10,)), "The shapes agree one by one"),
        (shapes(x=(1,)), "No name is the model's own"),
        (NET | shapes(conv_weight=(4, 1, 3, 3)), "They read 1 channels, and this model 3."),
        (NET | shapes(conv_weight=(8, 3, 3, 3), conv_bias=(8,), fc_weight=(10, 8)), "of other sizes"),
        (shapes(conv_weight=(4, 3, 3, 3), conv_bias=(4,)), "fine-tune from them (start_from)"),
    ],
)
def test_what_does_not_fit_comes_with_the_likely_remedy(given: dict[str, Any], advice: str) -> None:
    assert advice in suggest_fix(NET, given)
    with pytest.raises(InferenceError, match="These weights do not fit Net: "):
        match_state_dict(NET, given, "Net")


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(InferenceError, match=r"no model.safetensors or pytorch_model.bin in 'model'"):
        weights_facts.locate_weights(folder)
    save_file(
        {name: value.contiguous() for name, value in prefixed("resnet.").items()},
        folder / "model.safetensors",
    )
    names = {str(n): f"digit {n}" for n in reversed(range(10))}
    (folder / "config.json").write_text(json.dumps({"id2label": names}), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5], "image_std": [0.25]}', encoding="utf-8"
    )
    place = weights_facts.locate_weights(folder)
    found = from_path(place, "lenet5", None, weights_facts.read_stored(place))
    assert found.classes == tuple(f"digit {n}" for n in range(10))
    assert (found.preprocessing.mean, found.preprocessing.spread) == ((0.5,), (0.25,))
    assert found.preprocessing.scale == "unit-standardised"


def test_what_is_said_once_is_kept_beside_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, picture = tmp_path / "own.pth", tmp_path / "x.png"
    torch.save(lenet(), weights)
    Image.new("L", (28, 28), 90).save(picture)
    (tmp_path / "names.txt").write_text("\n".join("abcdefghij"), encoding="utf-8")
    named = ["predict", str(picture), "--model", "lenet5", "--weights", str(weights), "--json"]
    assert main(named) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main([*named, "--classes", str(tmp_path / "names.txt"), "--mean", "0.13", "--std", "0.3"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said != plain
    assert main(named) == 0
    assert json.loads(capsys.readouterr().out) == said
    assert weights_facts.read_stored(weights) == WeightsFacts(
        classes=tuple("abcdefghij"), mean=(0.13,), std=(0.3,)
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--mean", "a"], "--mean is one number or one a channel"),
        (
            ["--mean", "0.1,0.2"],
            "The network reads 1 channel: give --mean and --std one value, not 2 and 1.",
        ),
        (["--std", "0"], "A standard deviation is above 0."),
        (["--classes", "short"], "They give 10 classes, and 2 are asked for: name 10 classes, or fine-tune"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    torch.save(lenet(), tmp_path / "own.pth")
    (tmp_path / "short").write_text("a\nb\n", encoding="utf-8")
    Image.new("L", (28, 28), 90).save(tmp_path / "x.png")
    options = [str(tmp_path / "short") if option == "short" else option for option in options]
    whole = [
        "predict",
        str(tmp_path / "x.png"),
        "--model",
        "lenet5",
        "--weights",
        str(tmp_path / "own.pth"),
        *options,
    ]
    assert main(whole) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / f"own.pth{weights_facts.SUFFIX}").exists()


def test_a_class_with_code_is_still_refused(tmp_path: Path) -> None:
    torch.save({"model": lenet(), "what": nn.Linear(1, 1)}, tmp_path / "own.pth")
    with pytest.raises(InferenceError, match=r"it asks for torch\.nn\.modules\.linear\.Linear"):
        from_file(tmp_path / "own.pth", "lenet5")
