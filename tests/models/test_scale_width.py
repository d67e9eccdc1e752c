"""A narrow network begins as the wide one: fewer maps, the same share of a signal handed on."""

import math

import pytest

from cnnviz import models
from cnnviz.models.layer_list_edit import fan_in, scale_width
from cnnviz.models.layers import Conv, LayerList, Linear


def alexnet(**options: str) -> LayerList:
    spec = models.get("alexnet")
    assert spec.layers is not None
    return spec.layers(10, (3, 227, 227), spec.options.parse(options))


def strengths(layers: LayerList) -> dict[str, float]:
    """σ·√n of every layer that draws its weights from N(0, σ²)."""
    return {
        step.name: step.layer.init.std * math.sqrt(fan_in(step.layer, step.input_shape))
        for step in layers.steps()
        if isinstance(step.layer, Conv | Linear) and step.input_shape is not None
    }


def biases(layers: LayerList) -> list[float | None]:
    return [layer.init.bias for layer in layers.layers if isinstance(layer, Conv | Linear)]


def test_a_quarter_as_wide_for_smaller_images() -> None:
    wide = alexnet(init="article")
    narrow = scale_width(wide, by=4, hidden=512, side=67)
    widths = [layer.out for layer in narrow.layers if isinstance(layer, Conv | Linear)]
    assert widths == [24, 64, 96, 96, 64, 512, 512, "classes"]
    assert narrow.input == (3, 67, 67)
    assert narrow.problem() == ""
    assert [layer.name for layer in narrow.layers] == [layer.name for layer in wide.layers]
    assert biases(narrow) == biases(wide)


def test_every_layer_hands_on_what_the_wide_one_does() -> None:
    wide = alexnet(init="paper")
    before, after = strengths(wide), strengths(scale_width(wide, by=4, hidden=512, side=67))
    assert after == pytest.approx(before)
    assert before["conv1"] == pytest.approx(0.01 * math.sqrt(3 * 11 * 11))
    assert before["fc1"] == pytest.approx(0.01 * math.sqrt(9216))


def test_rules_that_look_at_the_number_of_inputs_stay() -> None:
    narrow = scale_width(alexnet(init="he"), by=2, hidden=1024, side=67)
    assert {layer.init.std for layer in narrow.layers if isinstance(layer, Conv | Linear)} == {0.01}
    assert {layer.init.weights for layer in narrow.layers if isinstance(layer, Conv | Linear)} == {"he"}


def test_an_input_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        scale_width(alexnet(), by=4, hidden=512, side=31)


def test_fan_in_by_the_paper() -> None:
    assert fan_in(Conv(out=256, kernel=5, groups=2), (96, 27, 27)) == 48 * 25
    assert fan_in(Linear(out=4096), (9216,)) == 9216
