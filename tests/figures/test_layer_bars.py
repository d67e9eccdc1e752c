"""The bars by layer tell the truth in their heights, and say in words what the eye sees."""

import math

import pytest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.figures.architecture import MAX_COLUMNS, layer_bars, shortened


def test_alexnet_has_its_parameters_at_the_end_and_its_arithmetic_at_the_start() -> None:
    bars = layer_bars(analyze("alexnet-cifar10"), 1, "conv2")
    tops = [max(bars.columns, key=lambda column, i=i: column.heights[i]).label for i in range(3)]  # type: ignore[misc]
    assert tops[:2] == ["fc1", "conv2"]
    assert all(word in bars.alt for word in ("Most parameters: fc1", "most multiply-adds: conv2"))
    assert [column.label for column in bars.columns if column.chosen] == ["conv2"]
    assert not bars.grouped


def test_heights_are_shares_of_the_largest_and_texts_are_exact() -> None:
    analysis = analyze("alexnet-cifar10")
    bars = layer_bars(analysis, 4, None)
    most = max(row.params for row in analysis.rows)
    for column in bars.columns:
        row = analysis.row(column.select)
        assert math.isclose(column.heights[0], row.params / most)
        assert column.texts[0].startswith(f"{row.params:,} parameters")
        assert column.texts[1].startswith(f"{row.macs:,} multiply-adds")
        assert f"{row.input_shape[0]}" in column.note
    assert [max(column.heights[i] for column in bars.columns) for i in range(3)] == [1, 1, 1]
    assert "4 images" in bars.measures[2].unit


def test_shares_stand_beside_the_figures() -> None:
    columns = {column.label: column for column in layer_bars(analyze("alexnet-cifar10"), 1, None).columns}
    assert columns["fc1"].texts[0] == "37,752,832 parameters · 64.8 %"
    assert columns["conv2"].texts[1] == "516,710,400 multiply-adds · 43.7 %"
    assert columns["relu1"].texts[0] == "0 parameters"


def test_memory_grows_with_the_batch_but_not_its_picture() -> None:
    analysis = analyze("lenet5")
    one, many = (layer_bars(analysis, batch, None) for batch in (1, 64))
    assert [column.heights for column in one.columns] == [column.heights for column in many.columns]
    assert one.measures[2].total != many.measures[2].total


@pytest.mark.parametrize("name", ["torchvision/efficientnet_v2_l", "torchvision/densenet201"])
def test_neighbours_share_a_column_in_huge_models(name: str) -> None:
    analysis = analyze(name)
    chosen = analysis.rows[len(analysis.rows) // 2].name
    groups = layer_bars(analysis, 1, chosen)
    everything = layer_bars(analysis, 1, chosen, everything=True)
    assert groups.grouped
    assert not everything.grouped
    assert len(groups.columns) <= MAX_COLUMNS < len(everything.columns) == groups.layers
    assert [sum(column.chosen for column in bars.columns) for bars in (groups, everything)] == [1, 1]
    assert any("layers, mostly" in column.note for column in groups.columns)


@pytest.mark.parametrize("name", models.names())
def test_every_model_has_bars_and_every_column_selects_a_layer(name: str) -> None:
    analysis = analyze(name)
    bars = layer_bars(analysis, 1, None)
    rows = {row.name for row in analysis.rows}
    assert {column.select for column in bars.columns} <= rows
    assert all(0 <= height <= 1 for column in bars.columns for height in column.heights)
    assert bars.data()["alt"] == bars.alt


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("conv1", "conv1"),
        ("features.2.1", "features.2.1"),
        ("encoder.layers.encoder_layer_0.self_attention", "…self_attention"),
        ("features.7.0.mlp.0", "…7.0.mlp.0"),
        ("(model)", "(model)"),
        ("inception_3a.branch3.conv", "3a…branch3.conv"),
    ],
)
def test_long_names_keep_their_last_parts(name: str, short: str) -> None:
    assert shortened(name) == short
