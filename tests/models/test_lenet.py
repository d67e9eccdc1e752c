"""LeNet-5 of 1998: the connection table, trained subsampling, the scaled tanh, and outputs as distances."""

import math
from collections import Counter

import pytest
import torch
from torch import nn

from cnnviz.models import build
from cnnviz.models.families.lenet import C3_CONNECTIONS, DIGIT_COLUMNS, DIGIT_ROWS, digit_bitmap
from cnnviz.models.modules import PartialConv2d, RadialBasis, ScaledTanh, Subsampling


def contiguous(seen: tuple[int, ...]) -> bool:
    """Whether the maps are neighbors on a circle of six."""
    return any({(start + i) % 6 for i in range(len(seen))} == set(seen) for start in range(6))


def test_c3s_table_is_the_papers() -> None:
    kinds = Counter((len(seen), contiguous(seen)) for seen in C3_CONNECTIONS)
    assert kinds == {(3, True): 6, (4, True): 6, (4, False): 3, (6, True): 1}
    assert len(set(C3_CONNECTIONS)) == 16
    assert Counter(i for seen in C3_CONNECTIONS for i in seen) == dict.fromkeys(range(6), 10)


def test_c3_has_1516_parameters_and_computes_a_full_convolution_with_holes() -> None:
    c3 = PartialConv2d(C3_CONNECTIONS, 5)
    assert sum(p.numel() for p in c3.parameters()) == 1_516
    maps = torch.randn(2, 6, 14, 14)
    weight, bias = torch.zeros(16, 6, 5, 5), torch.zeros(16)
    number = 0
    for conv in c3.convs.values():
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        for kernel, shift in zip(conv.weight, conv.bias, strict=True):
            weight[number, list(C3_CONNECTIONS[number])] = kernel
            bias[number] = shift
            number += 1
    full = nn.functional.conv2d(maps, weight, bias)
    assert torch.allclose(c3(maps), full, atol=1e-5)


def test_a_table_that_cannot_be_grouped_is_refused() -> None:
    with pytest.raises(ValueError, match="must stand side by side"):
        PartialConv2d(((0, 1), (0, 1, 2), (1, 2)), 3)


def test_scaled_tanh_passes_through_plus_and_minus_one() -> None:
    a = torch.tensor([-1.0, 0.0, 1.0, 100.0])
    expected = [1.7159 * math.tanh(2 * x / 3) for x in a.tolist()]
    assert ScaledTanh()(a).tolist() == pytest.approx(expected)
    assert expected[:3] == pytest.approx([-1, 0, 1], abs=1e-4)


def test_subsampling_is_a_mean_with_a_trained_gain_and_bias() -> None:
    layer = Subsampling(2)
    maps = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert layer(maps)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    with torch.no_grad():
        layer.gain.copy_(torch.tensor([1.0, 2.0]))
        layer.bias.copy_(torch.tensor([0.0, 1.0]))
    assert layer(maps)[0, 1].tolist() == [[38.0, 42.0], [54.0, 58.0]]


def test_radial_basis_logits_are_minus_squared_distances() -> None:
    units = RadialBasis([[1, 1, -1], [-1, 1, 1]])
    assert units(torch.tensor([[1.0, 1.0, -1.0], [0.0, 3.0, 0.0]])).tolist() == [[0, -8], [-6, -6]]
    assert not list(units.parameters())


def test_a_digits_own_picture_is_recognised() -> None:
    network = build("lenet5-1998")
    pictures = torch.tensor([digit_bitmap(digit) for digit in range(10)], dtype=torch.float32)
    assert pictures.shape == (10, DIGIT_ROWS, DIGIT_COLUMNS)
    assert set(pictures.flatten().tolist()) == {-1, 1}
    logits = network.get_submodule("output")(pictures.flatten(1))
    assert logits.argmax(dim=1).tolist() == list(range(10))
    # Any two pictures must differ in enough places for noise not to turn one into another.
    others = logits[~torch.eye(10, dtype=torch.bool)]
    assert others.max().item() <= -4 * 8


def test_weights_start_within_the_papers_bounds() -> None:
    network = build("lenet5-1998")
    for name, inputs in (("c1", 25), ("c3.convs.see3", 75), ("c3.convs.see6", 150), ("c5", 400), ("f6", 120)):
        weight = network.get_parameter(f"{name}.weight")
        assert 0.8 * 2.4 / inputs < weight.abs().max().item() <= 2.4 / inputs


def test_other_classes_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="so it has 10 classes, not 5; lenet5 takes any number"):
        build("lenet5-1998", classes=5)
    with pytest.raises(ValueError, match="takes 32×32 images, not 28×28"):
        build("lenet5-1998", input_size=28)
