"""The articles' tables row by row, their totals, and the figures that our notes set right."""

import re
from typing import Any

import pytest
import torch
from torch import nn

from cnnviz.models import get, layer_list
from cnnviz.models.layers import BatchNorm, Conv, Init, LayerList, Linear, LocalResponseNorm
from tests.models.weightless import rows, trainable, weightless

ALEXNET_CIFAR10 = {
    "conv1": ((96, 29, 29), 4_704),
    "conv2": ((256, 29, 29), 614_656),
    "pool1": ((256, 14, 14), 0),
    "conv3": ((384, 14, 14), 885_120),
    "conv4": ((384, 14, 14), 1_327_488),
    "conv5": ((256, 14, 14), 884_992),
    "pool2": ((256, 6, 6), 0),
    "dropout1": ((9216,), 0),
    "fc1": ((4096,), 37_752_832),
    "dropout2": ((4096,), 0),
    "fc2": ((4096,), 16_781_312),
    "fc3": ((10,), 40_970),
}
SMALL_ALEXNET = {
    "conv1": ((64, 26, 26), 9_472),
    "conv2": ((192, 26, 26), 307_392),
    "pool1": ((192, 12, 12), 0),
    "conv3": ((256, 12, 12), 442_624),
    "conv4": ((256, 12, 12), 590_080),
    "conv5": ((128, 12, 12), 295_040),
    "pool2": ((128, 5, 5), 0),
    "dropout1": ((3200,), 0),
    "fc1": ((2048,), 6_555_648),
    "dropout2": ((2048,), 0),
    "fc2": ((2048,), 4_196_352),
    "fc3": ((10,), 20_490),
}
LENET5 = {
    "conv1": ((6, 28, 28), 156),
    "pool1": ((6, 14, 14), 0),
    "conv2": ((16, 10, 10), 2_416),
    "pool2": ((16, 5, 5), 0),
    "fc1": ((120,), 48_120),
    "fc2": ((84,), 10_164),
    "fc3": ((10,), 850),
}
ALEXNET_BN_227 = {
    "resize": ((3, 227, 227), 0),
    "conv1": ((96, 57, 57), 34_944),
    "pool1": ((96, 28, 28), 0),
    "norm1": ((96, 28, 28), 192),
    "conv2": ((256, 28, 28), 614_656),
    "pool2": ((256, 14, 14), 0),
    "norm2": ((256, 14, 14), 512),
    "pool3": ((256, 6, 6), 0),
    "norm3": ((256, 6, 6), 512),
    "fc1": ((4096,), 37_752_832),
    "dropout1": ((4096,), 0),
}
ALEXNET = {
    "conv1": ((96, 55, 55), 34_944),
    "norm1": ((96, 55, 55), 0),
    "pool1": ((96, 27, 27), 0),
    "conv2": ((256, 27, 27), 614_656),
    "norm2": ((256, 27, 27), 0),
    "pool2": ((256, 13, 13), 0),
    "conv5": ((256, 13, 13), 884_992),
    "pool3": ((256, 6, 6), 0),
    "fc3": ((1000,), 4_097_000),
}
GOOGLENET = {
    "conv1": ((64, 112, 112), 9_472),
    "pool1": ((64, 56, 56), 0),
    "conv2": ((192, 56, 56), 110_784),
    "pool2": ((192, 28, 28), 0),
    "inception_3a": ((256, 28, 28), 163_696),
    "inception_3b": ((480, 28, 28), 388_736),
    "inception_4a": ((512, 14, 14), 376_176),
    "inception_4b": ((512, 14, 14), 449_160),
    "inception_4c": ((512, 14, 14), 510_104),
    "inception_4d": ((528, 14, 14), 605_376),
    "inception_4e": ((832, 14, 14), 868_352),
    "inception_5a": ((832, 7, 7), 1_043_456),
    "inception_5b": ((1024, 7, 7), 1_444_080),
    "pool5": ((1024, 1, 1), 0),
    "fc": ((10,), 10_250),
}
LENET5_1998 = {
    "c1": ((6, 28, 28), 156),
    "s2": ((6, 14, 14), 12),
    "c3": ((16, 10, 10), 1_516),
    "s4": ((16, 5, 5), 32),
    "c5": ((120, 1, 1), 48_120),
    "f6": ((84,), 10_164),
    "output": ((10,), 0),
}
INCEPTION_NAIVE = {
    "inception_3a": ((416, 28, 28), 192 * (64 + 128 * 9 + 32 * 25) + 224),
    "inception_5b": ((4944, 7, 7), 4048 * (384 + 384 * 9 + 128 * 25) + 896),
}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("alexnet-cifar10", ALEXNET_CIFAR10),
        ("small-alexnet", SMALL_ALEXNET),
        ("alexnet-bn-227", ALEXNET_BN_227),
        ("alexnet", ALEXNET),
        ("lenet5", LENET5),
        ("lenet5-1998", LENET5_1998),
        ("googlenet", GOOGLENET),
        ("inception-naive", INCEPTION_NAIVE),
    ],
)  # fmt: skip
def test_tables_row_by_row(name: str, table: dict[str, tuple[tuple[int, ...], int]]) -> None:
    built = rows(name)
    assert {row: built[row] for row in table} == table


@pytest.mark.parametrize(
    ("name", "choices", "total"),
    [
        ("alexnet-cifar10", {}, 58_292_074),
        ("small-alexnet", {}, 12_417_098),
        ("alexnet-bn-227", {}, 58_323_530),
        ("lenet5", {}, 61_706),
        ("lenet5-1998", {}, 60_000),
        ("alexnet", {}, 62_378_344),
        ("alexnet", {"classes": 10}, 58_322_314),
        ("alexnet", {"options": {"towers": 2}}, 60_965_224),
        ("googlenet", {}, 5_979_642),
        ("googlenet-aux", {}, 10_329_870),
        ("inception-naive", {}, 92_626_298),
        ("resnet18-32", {}, 11_173_962),
        ("vgg16-bn-32", {}, 14_728_266),
    ],
)
def test_totals(name: str, choices: dict[str, Any], total: int) -> None:
    assert trainable(weightless(name, **choices)) == total


def listed(name: str, **options: Any) -> LayerList:
    layers = layer_list(name, options=options)
    assert layers is not None
    return layers


def by_name(name: str, **options: Any) -> dict[str, Any]:
    layers = listed(name, **options)
    return dict(zip(layers.names(), layers.layers, strict=True))


def test_lrn_paper_is_the_papers_formula_and_the_articles_is_five_times_weaker() -> None:
    maps = torch.randn(1, 12, 3, 3) * 50
    for how, alpha in (("lrn-paper", 1e-4), ("lrn-article", 1e-4 / 5)):
        norm = by_name("alexnet", normalisation=how)["norm1"].module((12, 3, 3), 10)
        assert norm(maps) == pytest.approx(response_normalised(maps, alpha), rel=1e-5)


def response_normalised(maps: torch.Tensor, alpha: float) -> torch.Tensor:
    """Krizhevsky et al., 2012, section 3.3, written out: n = 5, k = 2, β = 0.75."""
    out = torch.empty_like(maps)
    for i in range(maps.shape[1]):
        near = maps[:, max(0, i - 2) : i + 3].square().sum(dim=1)
        out[:, i] = maps[:, i] / (2 + alpha * near) ** 0.75
    return out


def test_the_paper_normalises_after_the_first_two_activations_and_before_pooling() -> None:
    names = listed("alexnet").names()
    assert names[:8] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]


@pytest.mark.parametrize(("init", "hidden"), [("paper", 1.0), ("article", 0.0)])
def test_initialisation_of_the_paper_and_of_the_article(init: str, hidden: float) -> None:
    layers = by_name("alexnet", init=init)
    biases = {name: layer.init.bias for name, layer in layers.items() if isinstance(layer, Conv | Linear)}
    ones = {"conv2": 1, "conv4": 1, "conv5": 1, "fc1": hidden, "fc2": hidden}
    assert biases == {"conv1": 0, "conv3": 0, "fc3": 0, **ones}
    conv = layers["conv2"].module((96, 27, 27), 1000)
    assert conv.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert conv.bias.eq(1).all()


def test_he_initialisation_keeps_the_size_of_what_passes() -> None:
    conv = Conv(out=256, kernel=3, init=Init(weights="he", bias=0)).module((64, 8, 8), 10)
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.01)


def test_keras_defaults_of_batch_normalisation_and_initialisation() -> None:
    layers = by_name("alexnet-bn-227")
    norm = layers["norm1"]
    assert isinstance(norm, BatchNorm)
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    conv = layers["conv1"].module((3, 227, 227), 10)
    bound = (6 / ((3 + 96) * 11 * 11)) ** 0.5
    assert conv.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert conv.bias.eq(0).all()


def test_two_towers_group_conv2_conv4_and_conv5_only() -> None:
    layers = by_name("alexnet", towers=2)
    groups = {name: layer.groups for name, layer in layers.items() if isinstance(layer, Conv)}
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}


def test_the_article_that_failed_can_be_set_up() -> None:
    layers = by_name("alexnet", normalisation="lrn-article", init="article")
    norm = layers["norm1"]
    assert isinstance(norm, LocalResponseNorm)
    assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 2)


def noted(name: str, pattern: str) -> list[float]:
    """The numbers that a note of `name` states where `pattern` has groups."""
    match = re.search(pattern, " ".join(get(name).notes))
    assert match is not None
    return [float(number.replace(",", "")) for number in match.groups()]


def test_small_alexnets_note_on_its_convolutions() -> None:
    convs = sum(params for name, (_, params) in rows("small-alexnet").items() if name.startswith("conv"))
    stated, total, share = noted("small-alexnet", r"gives ([\d,]+) of ([\d,]+), which is ([\d.]+) %")
    assert (convs, 12_417_098) == (stated, total)
    assert round(100 * convs / total, 1) == share


def test_small_alexnets_note_on_its_time() -> None:
    small, large, share = noted("small-alexnet", r"(\d+) and (\d+) minutes, give (\d+) %")
    assert round(100 * small / large) == share


def test_googlenets_note_on_what_a_reduction_saves() -> None:
    direct, reduced, params, fewer = noted(
        "googlenet", r"cost ([\d.]+) million .* and ([\d.]+) million .* are ([\d,]+) and ([\d,]+)\."
    )
    weights, narrow = 480 * 48 * 25, 480 * 16 + 16 * 48 * 25
    assert (round(weights * 14 * 14 / 1e6, 1), round(narrow * 14 * 14 / 1e6, 1)) == (direct, reduced)
    wide, small = nn.Conv2d(480, 48, 5), nn.Sequential(nn.Conv2d(480, 16, 1), nn.Conv2d(16, 48, 5))
    assert (trainable(wide), trainable(small)) == (params, fewer)


def test_googlenets_note_on_global_pooling() -> None:
    (millions,) = noted("googlenet", r"7·7·1024 to 1024 has ([\d.]+) million")
    assert round(7 * 7 * 1024 * 1024 / 1e6, 1) == millions


@pytest.mark.parametrize("name", ["googlenet", "vgg16-bn-32", "torchvision/vgg16"])
def test_notes_on_vggs_fully_connected_layers(name: str) -> None:
    vgg = weightless("torchvision/vgg16")
    dense = [part for part in vgg.modules() if isinstance(part, nn.Linear)]
    of_params, of_macs = noted(name, r"are (\d+) % of the parameters and ([\d.]+) % of the multiply-adds")
    macs = get("torchvision/vgg16").published_value("macs")
    assert macs is not None
    assert round(100 * sum(map(trainable, dense)) / trainable(vgg)) == of_params
    assert round(100 * sum(part.weight.numel() for part in dense) / macs, 1) == of_macs


def test_the_naive_blocks_note() -> None:
    narrow, reduced, wide, last = noted(
        "inception-naive",
        r"(\d+) maps leave block 3a where (\d+) .* ([\d,]+) leave block 5b where ([\d,]+) do",
    )
    naive, usual = rows("inception-naive"), rows("googlenet")
    assert [naive["inception_3a"][0][0], usual["inception_3a"][0][0]] == [narrow, reduced]
    assert [naive["inception_5b"][0][0], usual["inception_5b"][0][0]] == [wide, last]
