"""What an experiment may be, what it runs, and that it survives being written down."""

import json
from typing import Any

import pytest

from cnnviz.experiments import Cell, Condition, Experiment, from_change
from cnnviz.experiments.experiment import pack, unpack
from cnnviz.models import layer_list
from cnnviz.training import Recipe
from tests.experiments.making import BASE, NORMALISING


def test_seeds_are_the_same_in_every_arm_and_pairs_come_together() -> None:
    assert list(NORMALISING.cells())[:3] == [
        Cell("pixels in [0, 1]", 0),
        Cell("normalizing the input", 0),
        Cell("pixels in [0, 1]", 1),
    ]
    base, arm = (NORMALISING.recipe(name, 2) for name in NORMALISING.names)
    assert base.difference(arm) == {"scale": ("unit", "standardised")}
    assert base.seed == arm.seed == 2


def test_conditions_are_stored_under_their_first_name() -> None:
    """Old documents, links and results say `arms`."""
    document = json.loads(NORMALISING.write())
    assert [entry["name"] for entry in document["arms"]] == list(NORMALISING.names[1:])
    assert "conditions" not in document
    assert Experiment.read(json.dumps(document)) == NORMALISING
    renamed = {"conditions" if key == "arms" else key: value for key, value in document.items()}
    assert Experiment.read(json.dumps(renamed)) == NORMALISING


def test_options_are_merged_into_those_of_the_base() -> None:
    base = Recipe(model="small-alexnet", options={"dropout": 0.0, "init": "he"}, dataset="shapes")
    change = from_change(base, {"options": {"dropout": 0.5}}, "Does dropout help?")
    assert change.recipe("with the change").options == {"dropout": 0.5, "init": "he"}
    assert change.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scale": "unit"}, "is the same recipe as the baseline"),
        ({"lr": -1}, "only a number above 0"),
        ({"learning": 1}, "no field 'learning'"),
        ({"seed": 4}, "changes 'seed'"),
        ({}, "at least 1 item"),
    ],
)
def test_what_is_no_change_is_refused_in_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        from_change(BASE, change, "Does it help?")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seeds": (1, 1)}, "a seed is given twice"),
        ({"seeds": (-1,)}, "from 0 on"),
        ({"seeds": ()}, "at least 1 item"),
        ({"base_name": "normalizing the input"}, "same name"),
        ({"question": ""}, "question"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        Experiment.of(**{**dict(NORMALISING), **fields})
    assert "\n" not in str(refused.value)


def test_it_comes_back_from_a_file_and_from_a_link() -> None:
    layers = Recipe(layers=layer_list("lenet5"), dataset="digits")
    tanh = layer_list("lenet5", options={"activation": "tanh"})
    assert tanh is not None
    other = tanh.model_dump(mode="json")
    with_layers = Experiment.of(
        question="?", base=layers, conditions=(Condition(name="tanh", changes={"layers": other}),)
    )
    for experiment in (NORMALISING, with_layers):
        assert Experiment.read(experiment.write()) == experiment
        assert unpack(pack(experiment)) == experiment


def test_a_document_longer_than_any_experiment_is_refused_unread() -> None:
    with pytest.raises(ValueError, match=r"^An experiment is at most 1,000 kB long, and this is longer\.$"):
        Experiment.read(" " * 1_000_001)


@pytest.mark.parametrize("text", ["", "%%", "AAAA", "x" * 50_000, pack(NORMALISING)[:-9]])
def test_a_damaged_link_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"experiment in (the|a) link") as refused:
        unpack(text)
    assert "\n" not in str(refused.value)
