"""Strange networks: each is analyzed, or refused in one sentence that names the user's own line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.analysis import analyze
from tests.analysis import strange_nets

NETS: dict[str, Any] = {
    name: kind
    for name, kind in vars(strange_nets).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == strange_nets.__name__
    and not name.startswith("_")
}  # fmt: skip
SENTENCES = {
    "UsesNumpy": r"needs the values of its input \(strange_nets.py, line \d+\)",
    "GivesNone": "gives a NoneType; what is read is a tensor",
    "GivesNested": "gives a dict; what is read is a tensor",
    "Endless": r"recursion depth exceeded \(strange_nets.py, line \d+\)",
    "Asserts": r"3×32×32: images must be 40 wide \(strange_nets.py, line \d+\)",
    "Sequences": r"reads sequences \(Conv1d\)",
    "Volumes": r"reads volumes \(Conv3d\)",
    "ExitsProgram": r"SystemExit: gone \(strange_nets.py, line \d+\)",
}


@pytest.mark.parametrize("name", NETS)
def test_it_is_analysed_or_refused_in_one_sentence(name: str) -> None:
    shape = (1, 16, 16) if name == "Embedding" else (3, 32, 32)
    if name in SENTENCES:
        with pytest.raises(ValueError, match=SENTENCES[name]) as caught:
            analyze(NETS[name](), shape)
        assert "\n" not in str(caught.value)
        return
    result = analyze(NETS[name](), shape)
    counted = NETS[name]()
    if name == "LazyLayers":
        counted(torch.zeros(2, *shape))
    assert result.total_params == sum(p.numel() for p in counted.parameters())
    assert result.trainable_params == sum(p.numel() for p in counted.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", [name for name in NETS if name not in SENTENCES and name != "Embedding"])
def test_a_class_is_made_without_arguments(name: str) -> None:
    assert analyze(NETS[name], (3, 32, 32)).rows == analyze(NETS[name](), (3, 32, 32)).rows


def test_a_class_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hand in a network, as analyze\(Conv2d\(…\)\)"):
        analyze(nn.Conv2d, (3, 8, 8))
    with pytest.raises(ValueError, match="A dict cannot be analyzed"):
        analyze({}, (3, 8, 8))  # type: ignore[arg-type]


def test_torchscript_is_one_row_and_said() -> None:
    model = NETS["Scripted"]()
    result = analyze(model, (3, 32, 32))
    assert "inner is TorchScript" in result.notes[0]
    assert result.row("inner").params == 8 * 8 * 9 + 8
    assert result.row("inner").output_shape == (8, 28, 28)
    assert isinstance(model.inner, torch.jit.ScriptModule)


def test_a_table_of_positions_is_not_fully_connected() -> None:
    result = analyze(NETS["AttentionBias"](), (3, 32, 32))
    assert result.row("").kind == "attention"
    assert result.row("").params == 2 * 16 * 16
    assert result.fc_params == (16 * 48 + 48) + (16 * 16 + 16) + (16 * 10 + 10)
    assert result.other_params == 2 * 16 * 16


def test_several_inputs_have_a_shape_each() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4 + 6, 10)

        def forward(self, image: Any, facts: Any) -> Any:
            return self.fc(torch.cat([self.conv(image).mean((2, 3)), facts], 1))

    result = analyze(Two(), [(1, 28, 28), (6,)])
    assert result.macs == 4 * 26 * 26 * 9 + 100
    assert result.notes == ("It reads 2 inputs: 1×28×28, 6; the graph shows them as one.",)
    with pytest.raises(ValueError, match=r"reads 2 inputs \(image, facts\): give a size for each"):
        analyze(Two(), (1, 28, 28))


def html(found: Any) -> str:
    """What a notebook shows."""
    return str(found._repr_html_())


def test_a_notebook_shows_a_table_and_a_short_line() -> None:
    analysis = cnnviz.analyze(NETS["Frozen"](), (3, 32, 32))
    assert repr(analysis) == "<Analysis of Frozen: 3×32×32, 3 layers, 314 parameters, 194,480 multiply-adds>"
    table = html(analysis)
    assert table.count("<tr>") == 1 + 3 + 1
    assert "314 parameters (90 trainable)" in table
    large = cnnviz.analyze("torchvision/densenet201")
    assert "more rows are not shown" in html(large)


def test_names_in_the_table_are_escaped() -> None:
    model = nn.Sequential()
    model.add_module("<script>", nn.Conv2d(3, 2, 3))
    assert "<script>" not in html(analyze(model, 8))
