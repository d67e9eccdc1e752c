"""The articles' tables, row by row, and every total they give."""

import pytest
from torch import nn

from cnnviz.analysis import analyze
from cnnviz.analysis.types import MIB

ALEXNET = [
    ("conv1", (96, 29, 29), 4_704),
    ("conv2", (256, 29, 29), 614_656),
    ("pool1", (256, 14, 14), 0),
    ("conv3", (384, 14, 14), 885_120),
    ("conv4", (384, 14, 14), 1_327_488),
    ("conv5", (256, 14, 14), 884_992),
    ("pool2", (256, 6, 6), 0),
    ("fc1", (4096,), 37_752_832),
    ("fc2", (4096,), 16_781_312),
    ("fc3", (10,), 40_970),
]
SMALL = [
    ("conv1", (64, 26, 26), 9_472),
    ("conv2", (192, 26, 26), 307_392),
    ("pool1", (192, 12, 12), 0),
    ("conv3", (256, 12, 12), 442_624),
    ("conv4", (256, 12, 12), 590_080),
    ("conv5", (128, 12, 12), 295_040),
    ("pool2", (128, 5, 5), 0),
    ("fc1", (2048,), 6_555_648),
    ("fc2", (2048,), 4_196_352),
    ("fc3", (10,), 20_490),
]
LENET = [
    ("conv1", (6, 28, 28), 156),
    ("conv2", (16, 10, 10), 2_416),
    ("fc1", (120,), 48_120),
    ("fc2", (84,), 10_164),
    ("fc3", (10,), 850),
]
INCEPTION = {
    "3a": 163_696,
    "3b": 388_736,
    "4a": 376_176,
    "4b": 449_160,
    "4c": 510_104,
    "4d": 605_376,
    "4e": 868_352,
    "5a": 1_043_456,
    "5b": 1_444_080,
}


@pytest.mark.parametrize(
    ("model", "table"), [("alexnet-cifar10", ALEXNET), ("small-alexnet", SMALL), ("lenet5", LENET)]
)
def test_a_table_row_by_row(model: str, table: list[tuple[str, tuple[int, ...], int]]) -> None:
    result = analyze(model)
    assert [(name, result.row(name).output_shape, result.row(name).params) for name, _, _ in table] == table


@pytest.mark.parametrize(
    ("model", "classes", "options", "total"),
    [
        ("alexnet-cifar10", 10, {}, 58_292_074),
        ("small-alexnet", 10, {}, 12_417_098),
        ("alexnet-bn-227", 10, {}, 58_323_530),
        ("lenet5", 10, {}, 61_706),
        ("lenet5-1998", 10, {}, 60_000),
        ("alexnet", 1000, {}, 62_378_344),
        ("alexnet", 10, {}, 58_322_314),
        ("alexnet", 1000, {"towers": 2}, 60_965_224),
        ("googlenet", 10, {}, 5_979_642),
        ("inception-naive", 10, {}, 92_626_298),
        ("googlenet-aux", 10, {}, 10_329_870),
    ],
)
def test_a_total(model: str, classes: int, options: dict[str, object], total: int) -> None:
    result = analyze(model, num_classes=classes, options=options)
    assert result.total_params == result.trainable_params == total


@pytest.mark.parametrize(
    ("model", "gmac"), [("alexnet-cifar10", 1.182), ("googlenet", 1.569), ("inception-naive", 12.55)]
)
def test_the_multiply_adds_of_an_article(model: str, gmac: float) -> None:
    assert analyze(model).macs / 1e9 == pytest.approx(gmac, abs=0.0005 if gmac < 10 else 0.005)


@pytest.mark.parametrize(
    ("model", "written", "stored"), [("alexnet-cifar10", 8.26, 222.37), ("small-alexnet", 4.38, 47.37)]
)
def test_the_memory_that_the_article_prints(model: str, written: float, stored: float) -> None:
    result = analyze(model)
    assert result.training_bytes() / MIB == pytest.approx(written, abs=0.005)
    assert result.parameter_bytes / MIB == pytest.approx(stored, abs=0.005)
    assert result.training_bytes(batch=64) == 64 * result.training_bytes()


def test_inception_blocks_of_the_article() -> None:
    rows = analyze("googlenet").rows
    sums = {
        block: sum(row.params for row in rows if row.name.replace("_", "").startswith(f"inception{block}."))
        for block in INCEPTION
    }
    assert sums == INCEPTION


def test_naive_blocks_widen_without_bound() -> None:
    joins = [n for n in analyze("inception-naive").graph.nodes if n.label == "concat"]
    assert joins[0].output_shape[0] == 416
    assert joins[-1].output_shape[0] == 4_944


def test_what_the_articles_claim_against_what_is_true() -> None:
    small, vgg = analyze("small-alexnet"), analyze("torchvision/vgg16")
    assert small.conv_params == 1_644_608
    assert small.conv_params / small.total_params == pytest.approx(0.132, abs=0.0005)
    assert small.total_params / analyze("alexnet-cifar10").total_params == pytest.approx(0.213, abs=0.0005)
    assert vgg.fc_params / vgg.total_params == pytest.approx(0.89, abs=0.005)
    assert vgg.macs_of("fc") / vgg.macs == pytest.approx(0.008, abs=0.0005)


def test_the_cost_of_a_reduction() -> None:
    """48 maps of 5×5 on 14×14×480: 112.9 M multiply-adds, or 5.3 M through a 1×1 to 16."""
    direct = analyze(nn.Conv2d(480, 48, 5, padding=2), (480, 14, 14))
    reduced = analyze(nn.Sequential(nn.Conv2d(480, 16, 1), nn.Conv2d(16, 48, 5, padding=2)), (480, 14, 14))
    assert (direct.macs, direct.total_params) == (112_896_000, 576_048)
    assert (reduced.macs, reduced.total_params) == (5_268_480, 26_944)


def test_auxiliary_classifiers_weigh_but_do_not_predict() -> None:
    with_heads, without = analyze("googlenet-aux"), analyze("googlenet")
    heads = [row for row in with_heads.rows if row.training_only]
    assert with_heads.macs == without.macs
    assert sum(row.params for row in heads) == with_heads.total_params - without.total_params
    assert sum(row.macs for row in heads) > 0
    assert {row.name.split(".")[0] for row in heads} == {"aux1", "aux2"}
