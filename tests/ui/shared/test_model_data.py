"""What is shown for a selection: the nearest that works, with a reason where it is not what was asked for."""

import pytest

from cnnviz import models
from cnnviz.models import library
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.model_data import analysis_of, costliest, overview, shown_model


def test_a_default_is_shown_with_its_costliest_layer() -> None:
    current = shown_model(url_state.read({"model": "alexnet-cifar10"}))
    assert current.analysis.total_params == 58_292_074
    assert current.selection.layer == costliest(current.analysis) == "conv2"
    assert current.selection.problems == ()


def test_the_same_selection_is_analysed_once() -> None:
    selection = url_state.read({"model": "lenet5", "classes": "3"})
    assert analysis_of(selection) is analysis_of(selection)


def test_a_size_that_cannot_work_is_said_and_the_model_s_own_shown() -> None:
    current = shown_model(url_state.read({"model": "alexnet-cifar10", "size": "8", "classes": "5"}))
    assert current.analysis.input_shape == (3, 32, 32)
    assert current.analysis.classes == 5
    (text,) = current.selection.problems
    assert "The smallest input that works is 10×10." in text
    assert "Shown instead: 5 classes on an input of 32." in text


def test_classes_that_cannot_work_are_said_too() -> None:
    current = shown_model(url_state.read({"model": "lenet5-1998", "classes": "12"}))
    assert current.analysis.classes == 10
    (text,) = current.selection.problems
    assert "Shown instead: 10 classes on an input of 32" in text


def test_a_layer_that_is_not_there_is_said() -> None:
    current = shown_model(url_state.read({"model": "lenet5", "layer": "conv9"}))
    (text,) = current.selection.problems
    assert "has no layer “conv9”" in text
    assert current.selection.layer == costliest(current.analysis)


@pytest.mark.parametrize("name", models.names())
def test_every_registered_model_can_be_shown(name: str) -> None:
    current = shown_model(url_state.read({"model": name}))
    assert current.selection.problems == ()
    assert current.selection.spec.name == name


def test_a_model_saved_anew_under_its_name_is_analysed_anew() -> None:
    layers = models.layer_list("lenet5")
    assert layers is not None
    name = library.save(layers.model_copy(update={"name": "mine"}))
    before = shown_model(url_state.read({"model": name})).analysis.total_params
    library.save(layers.model_copy(update={"name": "mine", "classes": 20}), replace=True)
    after = shown_model(url_state.read({"model": name})).analysis.total_params
    assert after - before == 10 * 85


def test_the_overview_knows_every_registered_default() -> None:
    assert set(overview()) == {name for name, spec in models.specs().items() if spec.source != "yours"}


def test_a_model_that_cannot_be_analysed_at_all_is_said() -> None:
    layers = models.layer_list("lenet5")
    assert layers is not None
    name = library.save(layers.model_copy(update={"name": "Broken"}))
    path = library.folder() / f"{name.removeprefix(library.PREFIX)}.json"
    path.write_text(
        layers.model_copy(update={"name": "Broken", "input": (1, 4, 4)}).write(), encoding="utf-8"
    )
    current = shown_model(url_state.read({"model": name, "batch": "3"}))
    assert current.selection.spec.name == url_state.DEFAULT_MODEL
    assert current.batch == 3
    (text,) = current.selection.problems
    assert "Broken cannot be analyzed" in text
