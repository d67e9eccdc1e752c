"""Changes to a layer list: what each does, what it leaves alone, and what it refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.models import layer_list_edit
from cnnviz.models.layers import KINDS, Activation, Conv, Flatten, LayerList, Linear, Pool
from tests.models.layer_lists import documents, layers

LIST = LayerList(
    name="small",
    input=(1, 28, 28),
    classes=10,
    layers=(Conv(name="first", out=6, kernel=5), Activation(), Pool(), Flatten(), Linear()),
)


@given(documents, st.data(), layers)
def test_removing_undoes_adding(document: LayerList, data: st.DataObject, layer: Any) -> None:
    place = data.draw(st.integers(0, len(document.layers)))
    longer = layer_list_edit.add(document, place, layer)
    assert longer.layers[place] == layer
    assert len(longer.layers) == len(document.layers) + 1
    assert layer_list_edit.remove(longer, place) == document


@given(documents.filter(lambda d: d.layers), st.data())
def test_moving_back_undoes_moving(document: LayerList, data: st.DataObject) -> None:
    places = st.integers(0, len(document.layers) - 1)
    place, to = data.draw(places), data.draw(places)
    moved = layer_list_edit.move(document, place, to)
    assert moved.layers[to] == document.layers[place]
    assert layer_list_edit.move(moved, to, place) == document


@given(documents.filter(lambda d: d.layers), st.data())
def test_a_duplicate_is_the_same_layer_without_its_name(document: LayerList, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(document.layers) - 1))
    twice = layer_list_edit.duplicate(document, place)
    assert twice.layers[place + 1] == twice.layers[place] == document.layers[place]
    assert layer_list_edit.remove(twice, place + 1) == document


@given(documents.filter(lambda d: d.layers), st.data(), st.sampled_from(list(KINDS)))
def test_converting_gives_the_kind_and_a_valid_list(
    document: LayerList, data: st.DataObject, kind: str
) -> None:
    place = data.draw(st.integers(0, len(document.layers) - 1))
    converted = layer_list_edit.convert(document, place, kind)
    assert converted.layers[place].kind == kind
    assert LayerList.read(converted.write()) == converted
    assert layer_list_edit.remove(converted, place) == layer_list_edit.remove(document, place)


@given(documents)
def test_compact_json_is_the_same_document(document: LayerList) -> None:
    assert LayerList.read(layer_list_edit.compact(document)) == document


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"linear", "global_pool", "flatten", "pool"}))
def test_a_suggested_layer_keeps_the_list_whole(kind: str) -> None:
    for place in range(3):
        longer = layer_list_edit.add(LIST, place, layer_list_edit.suggest(LIST, place, kind))
        assert longer.problem() == ""


def test_a_suggested_last_layer_has_a_unit_a_class() -> None:
    assert layer_list_edit.suggest(LIST, 5, "linear") == Linear()
    assert layer_list_edit.suggest(LIST, 4, "linear") == Linear(out=128)


def test_setting_a_field_changes_that_layer_alone() -> None:
    wider = layer_list_edit.set_field(LIST, 0, "out", 32)
    assert wider.layers[0] == Conv(name="first", out=32, kernel=5)
    assert wider.layers[1:] == LIST.layers[1:]
    assert next(step.output_shape for step in wider.steps()) == (32, 24, 24)


def test_converting_keeps_what_both_kinds_have() -> None:
    pooled = layer_list_edit.convert(LIST, 0, "pool")
    assert pooled.layers[0] == Pool(name="first", kernel=5, stride=1, padding=0)


def test_a_duplicate_of_a_named_layer_gets_a_fresh_name() -> None:
    assert layer_list_edit.duplicate(LIST, 0).names()[:2] == ["first", "conv1"]


def test_describing_changes_the_facts_alone() -> None:
    other = layer_list_edit.describe(LIST, name="Mine 2", classes=7)
    assert (other.name, other.classes, other.layers) == ("Mine 2", 7, LIST.layers)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda: layer_list_edit.set_field(LIST, 9, "out", 3), "no layer 10"),
        (lambda: layer_list_edit.set_field(LIST, 0, "kernel", 0), "kernel cannot be 0"),
        (lambda: layer_list_edit.set_field(LIST, 0, "colour", 1), "no field 'colour'"),
        (lambda: layer_list_edit.set_field(LIST, 0, "name", "1 2"), "begin with a letter"),
        (lambda: layer_list_edit.set_field(LIST, 1, "name", "first"), "'first' already"),
        (lambda: layer_list_edit.convert(LIST, 0, "lstm"), "no kind of layer 'lstm'"),
        (lambda: layer_list_edit.add(LIST, 6, Flatten()), "no place 7"),
        (lambda: layer_list_edit.remove(LIST, -1), "no layer 0"),
        (lambda: layer_list_edit.move(LIST, 0, 5), "no layer 6"),
        (lambda: layer_list_edit.duplicate(LIST, 5), "no layer 6"),
        (lambda: layer_list_edit.describe(LIST, name="/etc"), "cannot be a name"),
        (lambda: layer_list_edit.describe(LIST, input=(0, 1, 1)), "input cannot be 0"),
        (lambda: layer_list_edit.add(LIST, 0, *[Flatten()] * 500), "at most 500 layers"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(change: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as raised:
        change()
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)
