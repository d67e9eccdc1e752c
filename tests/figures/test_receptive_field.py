"""The receptive field is drawn where it is, with what lies in the padding apart."""

from xml.etree import ElementTree

import pytest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.analysis.types import Row
from cnnviz.figures.architecture import (
    MARGIN,
    SIDE,
    center_cell,
    receptive_svg,
    receptive_words,
    visible_field,
)

NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(row: Row, size: tuple[int, int]) -> dict[str, list[float]]:
    """The drawn boxes by class, as left, top, width, height in input pixels."""
    root = ElementTree.fromstring(receptive_svg(row, size, "words"))
    scale = SIDE / max(size)
    return {
        box.attrib["class"]: [float(box.attrib[side]) / scale for side in ("x", "y", "width", "height")]
        for box in root.findall(f"{NAMESPACE}rect")
    }


def test_first_convolution_sees_its_window_in_the_middle() -> None:
    row = analyze("alexnet-cifar10").row("conv1")
    assert center_cell(row.receptive_field, (32, 32)) == (14, 14)
    assert visible_field(row, (32, 32)) == (14, 14, 18, 18)
    assert drawn(row, (32, 32))["field"] == pytest.approx([14, 14, 4, 4], abs=0.05)
    assert receptive_words(row, (32, 32)) == "One output sees 4×4 pixels of the input."


def test_stride_is_told_as_the_step_between_neighbours() -> None:
    row = analyze("alexnet").row("conv1")
    assert "11×11" in receptive_words(row, (227, 227))
    assert "its neighbor those 4 further on" in receptive_words(row, (227, 227))


def test_what_is_wider_than_the_picture_is_cut_and_its_padding_dashed() -> None:
    row = analyze("googlenet").row("inception_5b.branch1.conv")
    assert min(visible_field(row, (224, 224))) < 0
    assert "padding, zeros" in receptive_words(row, (224, 224))
    boxes = drawn(row, (224, 224))
    assert boxes["field"] == pytest.approx([0, 0, 224, 224], abs=0.5)
    assert boxes["beyond"][0] < 0
    assert boxes["beyond"][2] > 224


def test_whole_input_fills_it() -> None:
    row = analyze("alexnet-cifar10").row("fc1")
    assert receptive_words(row, (32, 32)) == "Every output sees the whole input."
    assert drawn(row, (32, 32))["field"] == pytest.approx([0, 0, 32, 32], abs=0.05)


def test_a_wide_input_keeps_its_proportions() -> None:
    row = analyze("torchvision/resnet18", input_size=(96, 192)).row("conv1")
    _, _, width, height = drawn(row, (96, 192))["input"]
    assert (width, height) == pytest.approx((192, 96), abs=0.5)


@pytest.mark.parametrize("name", models.names())
def test_every_layer_can_be_drawn_inside_its_frame(name: str) -> None:
    analysis = analyze(name)
    size = (analysis.input_shape[1], analysis.input_shape[2])
    edge = MARGIN * max(size) / SIDE
    for row in analysis.rows[:: max(1, len(analysis.rows) // 20)]:
        for x, y, width, height in drawn(row, size).values():
            assert min(width, height) >= 0
            assert min(x, y) >= -edge
            assert x + width <= size[1] + edge
            assert y + height <= size[0] + edge
