"""Weights as pictures: every kernel where it belongs, and nothing where there is no connection."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.interpret import InterpretError, UnknownLayerError
from cnnviz.interpret.filters import (
    by_input,
    by_output,
    draw_first_layer,
    histogram,
    layers_with_filters,
    weights_of,
)
from cnnviz.models.families.lenet import C3_CONNECTIONS


@pytest.fixture
def alexnet() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 6, 3, groups=2), nn.Flatten(), nn.Linear(24, 5)
    )


def test_the_partial_c3_shows_what_it_leaves_out() -> None:
    model = models.build("lenet5-1998").eval()
    result = weights_of(model, "c3")
    assert result.values.shape == (16, 6, 5, 5)
    assert [tuple(np.flatnonzero(row)) for row in result.present] == [
        tuple(sorted(s)) for s in C3_CONNECTIONS
    ]
    assert result.present.sum() * 25 + 16 == 1_516
    maps = torch.randn(1, 6, 14, 14)
    dense = nn.functional.conv2d(maps, torch.from_numpy(result.values), torch.from_numpy(result.bias))
    torch.testing.assert_close(dense, model.get_submodule("c3")(maps))
    shown = by_output(result, 0, zoom=2)
    assert (shown.pixels[shown.box(5)[0], shown.box(5)[1]] == 255).all()


def test_groups_are_spread_out(alexnet: nn.Sequential) -> None:
    result = weights_of(alexnet, "2")
    assert result.present.astype(int).tolist() == [[1] * 4 + [0] * 4] * 3 + [[0] * 4 + [1] * 4] * 3
    maps = torch.randn(1, 8, 4, 4)
    dense = nn.functional.conv2d(maps, torch.from_numpy(result.values), torch.from_numpy(result.bias))
    torch.testing.assert_close(dense, alexnet[2](maps))


def test_first_layers_are_colour_pictures_with_grey_for_zero(alexnet: nn.Sequential) -> None:
    with torch.no_grad():
        weight = alexnet.get_parameter("0.weight")
        weight[0] = 0
        weight[1, :, 0, 0] = torch.tensor([1.0, -1.0, 0.0]) * 9
    shown = draw_first_layer(weights_of(alexnet, "0"), zoom=3)
    top, left, _, _ = shown.box(0)
    assert shown.pixels[top, left].tolist() == [128, 128, 128]
    top, left, bottom, right = shown.box(1)
    assert shown.pixels[top + 2, left + 2].tolist() == [255, 0, 128]
    assert (bottom - top, right - left) == (15, 15)
    with pytest.raises(InterpretError, match="reads 8 channels"):
        draw_first_layer(weights_of(alexnet, "2"))


def test_one_input_channel_of_every_kernel(alexnet: nn.Sequential) -> None:
    result = weights_of(alexnet, "0")
    shown = by_input(result, 2)
    channel = int(np.abs(result.values[:, 2]).max((1, 2)).argmax())
    assert shown.diverging
    assert len(shown.channels) == 8
    assert shown.high[channel] == result.magnitude
    with pytest.raises(InterpretError, match="0 to 2, not 3"):
        by_input(result, 3)


def test_fully_connected_layers_over_flattened_maps(alexnet: nn.Sequential) -> None:
    assert weights_of(alexnet, "4").values.shape == (5, 24, 1, 1)
    result = weights_of(alexnet, "4", (6, 2, 2))
    assert result.values.shape == (5, 6, 2, 2)
    assert (result.values.reshape(5, 24) == alexnet.get_parameter("4.weight").detach().numpy()).all()
    with pytest.raises(InterpretError, match="reads 24 values"):
        weights_of(alexnet, "4", (6, 3, 2))


def test_histograms_count_every_weight_once(alexnet: nn.Sequential) -> None:
    result = weights_of(alexnet, "2")
    shape = histogram(result)
    assert shape.counts.sum() == result.present.sum() * 9
    assert shape.mean == pytest.approx(alexnet.get_parameter("2.weight").detach().mean().item(), abs=1e-6)
    assert histogram(result, magnitude=result.magnitude / 2).counts.sum() == shape.counts.sum()
    assert shape.zeros == 0


def test_layers_without_filters_are_refused(alexnet: nn.Sequential) -> None:
    assert layers_with_filters(alexnet) == ("0", "2", "4")
    with pytest.raises(InterpretError, match="ReLU"):
        weights_of(alexnet, "1")
    with pytest.raises(UnknownLayerError):
        weights_of(alexnet, "9")


def test_the_partial_layer_counts_as_one() -> None:
    assert layers_with_filters(models.build("lenet5-1998")) == ("c1", "c3", "c5", "f6")
