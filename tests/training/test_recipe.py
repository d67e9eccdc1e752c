"""Recipes as files: read, written, changed, compared; and the named ones against the articles."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import models
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear
from cnnviz.models.layers.layer_list import MAX_LAYERS
from cnnviz.paths import CHECKPOINTS
from cnnviz.training import Recipe, all_recipes, get
from cnnviz.training.recipe import MAX_BYTES
from cnnviz.training.setup import device_of

recipes = st.builds(
    Recipe,
    epochs=st.integers(5, 100),
    lr=st.floats(1e-6, 10),
    limit=st.none() | st.integers(1, 10**6),
    optimiser=st.sampled_from(["sgd", "nesterov", "adam", "adamw"]),
    schedule=st.sampled_from(["constant", "step", "cosine", "one-cycle", "plateau"]),
    options=st.dictionaries(st.sampled_from(["activation", "dropout"]), st.floats(0, 1) | st.just("tanh")),
    layers=st.none() | st.just(LayerList(input=(1, 8, 8), layers=(Conv(out=2), Flatten(), Linear()))),
    seed=st.integers(0, 2**63 - 1),
)


@given(recipes)
def test_a_recipe_survives_its_file(recipe: Recipe) -> None:
    assert Recipe.read(recipe.write()) == recipe


@pytest.mark.parametrize("text", [" " * (MAX_BYTES + 1), b"[" * (MAX_BYTES + 1)])
def test_a_document_longer_than_any_recipe_is_refused_unread(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^A recipe is at most 1,000 kB long, and this is longer\.$"):
        Recipe.read(text)


def test_the_longest_layer_list_fits_into_a_recipe() -> None:
    layers = tuple(Conv(out=512, name=f"{'n' * 37}{number:03d}", padding=1) for number in range(MAX_LAYERS))
    recipe = Recipe(layers=LayerList(input=(1, 8, 8), layers=layers))
    assert Recipe.read(recipe.write()) == recipe


def test_text_from_a_command_line_is_understood() -> None:
    changed = Recipe(limit=5).changed(
        {"epochs": "3", "lr": "0.5", "ten_crop": "true", "limit": "none", "options": '{"activation": "tanh"}'}
    )
    assert (changed.epochs, changed.lr, changed.ten_crop, changed.limit) == (3, 0.5, True, None)
    assert changed.options == {"activation": "tanh"}


def test_the_difference_names_what_decides() -> None:
    base = Recipe(name="a", description="one")
    other = base.changed({"name": "b", "lr": 0.2, "scale": "raw"})
    assert base.difference(other) == {"lr": (0.05, 0.2), "scale": ("standardised", "raw")}


def test_what_is_changed_is_no_longer_assumed() -> None:
    recipe = get("article-lenet5-mnist")
    assert "momentum" in recipe.assumed
    assert "momentum" not in recipe.changed({"momentum": 0.5}).assumed
    assert "scale" in recipe.changed({"momentum": 0.5}).assumed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "cannot be read"),
        ('{"epoch": 3}', "no field 'epoch'"),
        ('{"epochs": 0}', "'epochs' cannot be '0', only a whole number from 1 to 100,000"),
        ('{"optimiser": "lion"}', "'optimiser' cannot be 'lion', only sgd, nesterov, adam, adamw or rmsprop"),
        ('{"epochs": 3, "warmup_epochs": 4}', "Warm-up takes 4 epochs"),
        ('{"schedule": "plateau", "validation": 0}', "'validation' must be above 0"),
        ('{"crop_from": 40, "pad_crop": 4}', "give one of them"),
        ('{"assumed": {"colour": "red"}}', "'colour'"),
        ('{"device": "cuda:x"}', "'cuda:x' is no device"),
        ('{"layers": {"input": [3, 8]}}', "at layers"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        Recipe.read(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", all_recipes())
def test_a_named_recipe_can_be_followed(name: str) -> None:
    recipe = get(name)
    spec = models.get(recipe.model)
    side = recipe.size or spec.input_shape[1:]
    classes, shape, options = models.resolve(spec, 10, side, recipe.options)
    assert (classes, shape[0]) == (10, spec.input_shape[0])
    assert set(recipe.options) <= set(type(options).model_fields)
    assert recipe.description
    assert json.loads(recipe.write())["name"] == name


def test_article_runs_are_as_written() -> None:
    lenet, failed, google = (
        get(f"article-{n}") for n in ("lenet5-mnist", "alexnet-stl10", "googlenet-cifar10")
    )
    assert (lenet.optimiser, lenet.lr, lenet.batch_size, lenet.epochs) == ("sgd", 0.1, 1024, 20)
    assert (failed.optimiser, failed.lr, failed.momentum, failed.weight_decay) == ("sgd", 1e-3, 0.9, 5e-4)
    assert (failed.schedule, failed.step_epochs, failed.step_factor) == ("step", 30, 0.1)
    assert (failed.batch_size, failed.epochs, failed.scale, failed.size) == (64, 5, "unit", 227)
    assert failed.options == {"init": "article", "normalisation": "lrn-article"}
    assert (google.lr, google.batch_size, google.epochs) == (2e-4, 100, 100)
    assert get("article-alexnet-bn-227-cifar10").scale == "raw"
    assert get("article-alexnet-cifar10").epochs == get("article-small-alexnet-cifar10").epochs == 50


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean article-lenet5-mnist"):
        get("article-lenet-mnist")


def test_recipes_need_no_torch() -> None:
    code = (
        "import sys; from cnnviz.training import all_recipes; all_recipes(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WRONG_DEVICES = (
    *("cuda:999999999999", "cuda:-1", "cuda:\u0663", "cuda:1.5", "cuda:", "cuda:0 ", "CUDA"),
    *("mps:3", "tpu", "cpu:0", ""),
)


@pytest.mark.parametrize("device", WRONG_DEVICES)
def test_a_device_that_cannot_be_is_a_sentence(device: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no device; a device is auto, cpu, gpu, .*mps, cuda, or cuda:0 .*[a-z]\.$"
    ):
        Recipe().changed({"device": device})


@given(device=st.one_of(st.text(), st.from_regex(r"(auto|cpu|mps|cuda|xla|meta)(:[\w.-]*)?", fullmatch=True)))
def test_any_device_is_had_or_refused_in_one_sentence(device: str) -> None:
    text = ""
    try:
        result = device_of(Recipe().changed({"device": device})).type
    except ValueError as error:
        result, text = "", str(error)
    assert result in ("cpu", "cuda", "mps") or "device" in text
    assert "\n" not in text
    assert not text.endswith("..")


def test_recipes_of_the_weights_that_ship_can_be_trained_by_the_command_on_their_cards() -> None:
    commands = [
        re.search(r"cnnviz train ([\w-]+)\s", card.read_text("utf-8"))
        for card in CHECKPOINTS.glob("*/card.md")
    ]
    named = {command[1] for command in commands if command}
    assert {"lenet5-mnist", "small-googlenet-cifar10"} <= named <= set(all_recipes())
