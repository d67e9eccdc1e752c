"""torchinfo's table beside ours: the sentences on where they differ hold, by an independent count."""

from __future__ import annotations

import pytest
from torch import nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.analysis.export import torchinfo_table
from cnnviz.cli import main
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear

LAYERS = LayerList(
    name="own",
    input=(1, 8, 8),
    classes=3,
    layers=(Conv(name="conv", out=4, kernel=3), Flatten(), Linear(name="fc", out="classes")),
)


@pytest.mark.parametrize("name", ["lenet5", "small-alexnet", "resnet18-32"])
@pytest.mark.parametrize("batch", [1, 4])
def test_what_it_counts_more_is_biases_and_normalization(name: str, batch: int) -> None:
    analysis = analyze(name)
    result = torchinfo_table(name, analysis, batch=batch)
    modules = dict(models.build(name).named_modules())
    extra = 0
    for row in analysis.rows:
        layer = modules.get(row.name)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            extra += layer.bias.numel() * (
                row.output_shape[1] * row.output_shape[2] if len(row.output_shape) == 3 else 1
            )
        elif isinstance(layer, nn.BatchNorm2d):
            extra += 2 * layer.num_features
    assert result.macs - analysis.macs == extra
    assert result.params == analysis.total_params
    assert f"{extra:,} (" in result.differences[0]
    assert "more than ours" in result.differences[0]


def test_attention_is_what_it_does_not_see() -> None:
    analysis = analyze("torchvision/vit_b_16")
    result = torchinfo_table("torchvision/vit_b_16", analysis)
    assert result.macs < analysis.macs / 10
    assert "fewer than ours" in result.differences[0]
    assert "attention" in result.differences[0]


def test_size_classes_and_options_are_those_that_were_analyzed() -> None:
    analysis = analyze("lenet5", 40, 7, {"activation": "tanh"})
    result = torchinfo_table("lenet5", analysis, {"activation": "tanh"}, batch=2)
    assert "Tanh (tanh1)" in result.text or "Tanh" in result.text
    assert "[2, 7]" in result.text
    assert "[2, 6, 40, 40]" in result.text


def test_a_layer_list_is_followed_too() -> None:
    assert torchinfo_table(LAYERS, analyze(LAYERS)).params == analyze(LAYERS).total_params


def test_the_command_prints_table_and_differences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "lenet5", "--torchinfo", "--batch", "2"]) == 0
    printed = capsys.readouterr().out
    assert "Total params: 61,706" in printed
    assert printed.rstrip().endswith("in MiB.")


@pytest.mark.parametrize(
    "arguments", [["lenet5", "alexnet", "--torchinfo"], ["lenet5", "--torchinfo", "--json"]]
)
def test_what_does_not_go_together_is_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["summary", *arguments]) == 2
    assert capsys.readouterr().err.startswith("cnnviz: ")
