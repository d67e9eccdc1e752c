"""Every registered model is built and run by what its spec says, the day it is added."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch
from torch import nn

import cnnviz.models
from cnnviz.models import ModelSpec, Options, UnknownModelError, registry
from cnnviz.models.layers import Flatten, LayerList, Linear
from cnnviz.models.registry import resolve
from cnnviz.models.spec import bounds, choices
from tests.models.weightless import default, output, trainable, weightless

SPECS = {name: spec for name, spec in cnnviz.models.specs().items() if spec.source != "yours"}
OURS = [name for name, spec in SPECS.items() if spec.source == "cnnviz"]
FIXED = {"lenet5-1998"}
"""Whose classes and size cannot be chosen."""


@pytest.mark.parametrize("name", SPECS)
def test_builds_as_registered_and_says_how_sure_it_is(name: str) -> None:
    spec = SPECS[name]
    assert output(default(name), spec.input_shape) == (2, spec.classes)
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.paper
    assert all(note.endswith(".") for note in spec.notes)
    published = spec.published_value("params")
    assert published in (None, trainable(default(name)))


@pytest.mark.parametrize("name", sorted(set(OURS) - FIXED))
def test_builds_with_another_number_of_classes(name: str) -> None:
    assert output(weightless(name, classes=7), SPECS[name].input_shape) == (2, 7)


OPTION_VALUES = [
    (name, option, value)
    for name in OURS
    for option, info in SPECS[name].options.model_fields.items()
    for value in choices(info) or bounds(info)
]


@pytest.mark.parametrize(("name", "option", "value"), OPTION_VALUES)
def test_builds_with_every_value_of_every_option(name: str, option: str, value: Any) -> None:
    model = weightless(name, options={option: str(value)})
    assert output(model, SPECS[name].input_shape) == (2, SPECS[name].classes)


@pytest.mark.parametrize("name", OURS)
def test_options_are_explained_and_their_bounds_are_kept(name: str) -> None:
    for option, info in SPECS[name].options.model_fields.items():
        assert info.description
        for wrong in ("no-such-value", -1, 1.5, "nan"):
            with pytest.raises(ValueError, match=f"Option '{option}' cannot be .*; it can be "):
                SPECS[name].options.parse({option: wrong})


@pytest.mark.parametrize("name", sorted(set(OURS) - FIXED))
def test_an_input_size_works_or_the_message_says_which_would(name: str) -> None:
    """Every size from the smallest on works; below it, one sentence names it."""
    smallest = 1
    try:
        weightless(name, input_size=1)
    except ValueError as error:
        match = re.search(r"The smallest input that works is (\d+)×\1\.", str(error))
        assert match is not None
        smallest = int(match.group(1))
        with pytest.raises(ValueError, match=f"smallest input that works is {smallest}×{smallest}"):
            weightless(name, input_size=smallest - 1)
    for height, width in ((smallest, smallest), (smallest, smallest + 9), (smallest + 40, smallest + 13)):
        model = weightless(name, input_size=(height, width))
        assert output(model, (SPECS[name].input_shape[0], height, width)) == (2, SPECS[name].classes)


@pytest.mark.parametrize("name", [name for name in OURS if SPECS[name].layers])
def test_layer_lists_agree_with_what_is_built(name: str) -> None:
    layers = cnnviz.models.layer_list(name)
    assert layers is not None
    assert sum(step.params for step in layers.steps()) == trainable(default(name))
    assert LayerList.read(layers.write()) == layers


def test_what_fits_no_machine_is_refused_with_the_sizes_that_work() -> None:
    with pytest.raises(ValueError, match=r"are allowed\. Inputs from 10×10 to \d+×\d+ work\.") as refused:
        weightless("alexnet-cifar10", input_size=1024)
    largest = int(re.findall(r"to (\d+)×", str(refused.value))[0])
    assert trainable(weightless("alexnet-cifar10", input_size=largest)) <= 2_000_000_000
    with pytest.raises(ValueError, match="are allowed"):
        weightless("alexnet-cifar10", input_size=largest + 1)


def test_googlenet_with_heads_gives_three_answers_while_it_trains() -> None:
    model = weightless("googlenet-aux", classes=5)
    image = torch.empty(2, 3, 224, 224, device="meta")
    assert model.eval()(image).shape == (2, 5)
    outputs = model.train()(image)
    assert outputs._fields == ("logits", "aux1", "aux2")
    assert [tuple(out.shape) for out in outputs] == [(2, 5)] * 3


def test_ours_come_first_by_year_then_torchvisions() -> None:
    years = [SPECS[name].year for name in OURS]
    assert list(SPECS)[: len(OURS)] == OURS
    assert years == sorted(years)
    assert len(SPECS) == len(OURS) + 80


@pytest.mark.parametrize("action", ["specs()", "problems()", "layer_list('googlenet')"])
def test_listing_imports_no_torch(action: str) -> None:
    heavy = "sorted({'torch', 'torchvision'} & {*sys.modules})"
    code = f"import sys, cnnviz.models as m; m.{action}; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"^There is no model 'alexnett'; did you mean alexnet"):
        cnnviz.models.get("alexnett")
    with pytest.raises(UnknownModelError, match="`python -m cnnviz models` lists them all"):
        cnnviz.models.get("qqqqqq")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("net.py", "'net.py' is a file: name what makes the network in it too, as net.py:Net."),
        ("best.pth", "'best.pth' holds weights, not a network: name a model with it, as net.py:Net, and"),
        ("net.pt2", "'net.pt2' is an exported program: it holds code and is not read"),
    ],
)
def test_a_file_that_is_no_model_s_name_says_what_is(name: str, sentence: str) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(sentence)):
        cnnviz.models.get(name)


def test_unknown_options_are_answered_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match="There is no option 'depth' here; the options are: activation, norm"
    ):
        cnnviz.models.build("alexnet", options={"depth": 3})
    with pytest.raises(ValueError, match="the options are: none"):
        cnnviz.models.build("torchvision/resnet18", options={"depth": 3})


def test_text_from_a_url_is_read_as_the_option_declares() -> None:
    options = SPECS["alexnet"].options.parse({"towers": "2", "dropout": "0.25", "init": "HE"})
    assert options.changed() == {"towers": 2, "dropout": 0.25, "init": "he"}


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"classes": 0}, "A model has from 1 to 100,000 classes, not 0."),
        ({"classes": 10**9}, "A model has from 1 to 100,000 classes, not 1,000,000,000."),
        ({"input_size": 0}, "An input is from 1×1 to 1024×1024 pixels, not 0×0."),
        ({"input_size": (32, 5000)}, "An input is from 1×1 to 1024×1024 pixels, not 32×5000."),
    ],
)
def test_classes_and_sizes_out_of_bounds(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        resolve(SPECS["lenet5"], **choice)


@pytest.fixture
def mine() -> Iterator[str]:
    yield "mine-for-a-test"
    cnnviz.models.remove("mine-for-a-test")


def test_a_users_own_function_is_registered_by_one_decorator(mine: str) -> None:
    facts = {"title": "Mine", "family": "Yours", "year": 2020, "summary": "A line.", "input_shape": (3, 8, 8)}

    @cnnviz.models.register(mine, classes=4, **facts)
    def one_layer(classes: int, input_shape: tuple[int, int, int], options: Options) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))

    assert cnnviz.models.get(mine).source == "yours"
    assert list(cnnviz.models.specs())[-1] == mine
    assert output(weightless(mine, classes=6), (3, 8, 8)) == (2, 6)


def test_a_users_own_layer_list_is_registered_by_one_decorator(mine: str) -> None:
    facts = {"title": "Mine", "family": "Yours", "year": 2020, "summary": "A line.", "input_shape": (3, 8, 8)}

    @cnnviz.models.sequential(mine, classes=4, **facts)
    def one_layer(classes: int, input_shape: tuple[int, int, int], options: Options) -> LayerList:
        return LayerList(input=input_shape, classes=classes, layers=(Flatten(), Linear()))

    assert output(weightless(mine), (3, 8, 8)) == (2, 4)


@pytest.mark.parametrize("name", ["alexnet", "torchvision/resnet18"])
def test_a_users_model_cannot_take_the_name_of_another(name: str) -> None:
    with pytest.raises(ValueError, match=f"The name '{name}' is taken"):
        cnnviz.models.register(
            name, title="", family="", year=0, summary="", input_shape=(3, 8, 8), classes=1
        )(lambda *_: nn.Identity())
    assert cnnviz.models.get(name).source != "yours"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 81, "../up", "?"])
def test_names_that_a_url_or_a_shell_would_trip_over_are_refused(name: str) -> None:
    spec = ModelSpec(name, "", "", 0, "", (3, 8, 8), 1, lambda *_: nn.Identity(), source="yours")
    with pytest.raises(ValueError, match="cannot be a model's name"):
        cnnviz.models.add(spec)


def test_a_broken_entry_point_is_told_of_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("theirs", "no_such_package.models", registry.ENTRY_POINT_GROUP)
    fine = EntryPoint("fine", "json:loads", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: (broken, fine))
    registry._load_entry_points.cache_clear()
    try:
        assert "lenet5" in cnnviz.models.specs()
        (problem,) = cnnviz.models.problems()
    finally:
        registry._load_entry_points.cache_clear()
    assert problem == (
        "The models of entry point 'theirs' (no_such_package.models) could not be loaded: "
        "ModuleNotFoundError: No module named 'no_such_package'"
    )
