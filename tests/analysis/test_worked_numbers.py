"""Formulas are sums a student can check: here each one is worked out."""

import re

import pytest

from cnnviz.analysis import Row, analyze, overview, worked_numbers

NAMES = [line.name for line in overview()]


def value(text: str) -> int:
    """What the left side of a formula comes to."""
    plain = text.replace(",", "").replace("·", "*").replace("−", "-")
    plain = re.sub(r"⌊([^⌋]*)⌋", r"((\1)//1)", plain)
    plain = re.sub(r"⌈([^⌉]*)⌉", r"(-(-(\1)//1))", plain)
    assert re.fullmatch(r"[\d+\-*/() ]+", plain), text
    return int(eval(plain))


@pytest.mark.parametrize("name", NAMES)
def test_every_formula_is_true(name: str) -> None:
    for row in analyze(name).rows:
        for text, count in ((row.formula, row.params), (worked_numbers.multiply_adds(row), row.macs)):
            assert bool(text) == bool(count)
            if count:
                left, _, right = text.partition(" = ")
                assert value(left) == count
                assert not right or right == f"{count:,}"


@pytest.mark.parametrize("name", NAMES)
def test_every_output_size_is_true(name: str) -> None:
    for row in analyze(name).rows:
        for part, side in zip(_sides(worked_numbers.output_size(row)), row.output_shape[1:], strict=False):
            left, _, right = part.partition(" = ")
            assert value(left) == int(right) == side


def _sides(text: str) -> list[str]:
    if not text:
        return []
    if text.startswith("height"):
        return [part.split(" ", 1)[1] for part in text.split("; ")]
    return [text, text]


def test_formulas_as_they_are_read() -> None:
    rows = {row.name: row for row in analyze("alexnet-cifar10").rows}
    assert rows["conv1"].formula == "96·(3·4·4 + 1) = 4,704"
    assert rows["fc1"].formula == "4,096·(9,216 + 1) = 37,752,832"
    assert rows["pool1"].formula == ""
    assert worked_numbers.multiply_adds(rows["conv1"]) == "96·29·29·(3·4·4) = 3,875,328"
    assert worked_numbers.output_size(rows["conv1"]) == "(32 + 2·0 − 4)/1 + 1 = 29"
    assert worked_numbers.output_size(rows["pool2"]) == "⌊(14 + 2·0 − 3)/2⌋ + 1 = 6"
    assert worked_numbers.output_size(rows["fc1"]) == ""


@pytest.mark.parametrize(
    ("model", "layer", "words"),
    [
        ("alexnet-cifar10", "conv2", "Each of 256 maps looks through a 5×5 window at all 96 input maps"),
        ("alexnet-cifar10", "pool1", "so windows overlap"),
        ("lenet5", "fc1", "Each of 120 units sums all 400 inputs"),
        ("alexnet-cifar10", "dropout1", "zeroes 50 % of its inputs"),
        ("alexnet", "norm1", "5 neighboring maps"),
        ("torchvision/mobilenet_v2", "features.1.conv.0.0", "depthwise"),
        ("torchvision/vit_b_16", "encoder.layers.encoder_layer_0.self_attention", "reads all others"),
    ],
)
def test_settings_in_words(model: str, layer: str, words: str) -> None:
    assert words in worked_numbers.in_words(analyze(model).row(layer))


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_words(name: str) -> None:
    def sound(row: Row) -> bool:
        words = worked_numbers.in_words(row)
        return words.endswith(".") and "None" not in words

    assert all(sound(row) for row in analyze(name).rows)
