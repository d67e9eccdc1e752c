"""Forms and words of layers: every field of every kind is asked for, within its own bounds."""

import pytest
from hypothesis import given

from cnnviz import models
from cnnviz.analysis.core import Cost
from cnnviz.models import layer_list_edit
from cnnviz.models.layers import KINDS, Activation, Conv, Inception, Layer, LayerList, Linear, Pool
from cnnviz.ui.pages.build.editor import layer_text, payload
from cnnviz.ui.pages.build.inspector import fields_of
from tests.models.layer_lists import documents


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_form_and_an_explanation(kind: str) -> None:
    fields = fields_of(kind)
    assert {field.name for field in fields} == set(KINDS[kind].model_fields) - {"name", "kind"}
    for field in fields:
        assert field.label
        assert field.help.endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_those_of_the_kind(kind: str) -> None:
    for field in fields_of(kind):
        if field.widget in ("whole", "window"):
            assert field.low is not None
            assert field.high is not None
            layer_list_edit.new_layer(kind, **{field.name: int(field.low)})
            layer_list_edit.new_layer(kind, **{field.name: int(field.high)})
            with pytest.raises(ValueError, match=field.name):
                layer_list_edit.new_layer(kind, **{field.name: int(field.high) + 1})
        for choice in field.choices:
            layer_list_edit.new_layer(kind, **{field.name: choice})


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (Conv(out=96, kernel=11, stride=4), "96 maps · 11×11 · stride 4"),
        (Conv(out=8, kernel=(1, 7), padding=(0, 3)), "8 maps · 1×7 · padding 0×3"),
        (Conv(groups=2, dilation=2), "32 maps · 3×3 · dilation 2 · groups 2"),
        (Pool(kernel=3, stride=2, padding=1), "max 3×3 · stride 2 · padding 1"),
        (Pool(kernel=2, stride=2), "max 2×2"),
        (Linear(), "10 classes"),
        (Linear(out=4096), "4,096 units"),
        (Activation(function="leaky_relu"), "leaky ReLU"),
        (Inception(), "64 + 128 + 32 + 32 maps"),
    ],
)
def test_a_layer_in_words(layer: Layer, told: str) -> None:
    assert layer_text(layer, 10) == told


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words(kind: str) -> None:
    assert layer_text(layer_list_edit.new_layer(kind), 10)


@given(documents)
def test_the_editor_gets_a_line_a_layer_with_shares_of_the_largest(document: LayerList) -> None:
    costs = {name: Cost(i, 2 * i, i) for i, name in enumerate(document.names())}
    rows = payload(document, costs, {}, [], 0)["rows"]
    assert [row["name"] for row in rows] == document.names()
    assert all(0 <= share <= 1 for row in rows for share in row["share"])
    assert sum(bool(row["problem"]) for row in rows) <= 1


def test_a_line_says_in_words_what_is_wrong() -> None:
    document = models.layer_list("alexnet-cifar10")
    assert document is not None
    broken = layer_list_edit.set_field(document, 0, "kernel", 40)
    costs = dict.fromkeys(broken.names(), Cost())
    rows = payload(broken, costs, {"conv1": "changed"}, ["Kernel 32"], 0)["rows"]
    assert rows[0]["label"].startswith(
        "conv1, convolution, 96 maps · 40×40, output unknown, changed, does not fit"
    )
    assert (rows[0]["unknown"], rows[1]["unknown"], rows[1]["output"]) == (False, True, "—")
