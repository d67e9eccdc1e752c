"""Every ready-made experiment: its recipes can be built, and the small forms need nothing from outside."""

import subprocess
import sys

import pytest

from cnnviz import datasets
from cnnviz.analysis import analyze
from cnnviz.experiments.experiment import changes_text
from cnnviz.experiments.presets import (
    FORMS,
    Form,
    alexnet_resizing,
    get_preset,
    inception_trio,
    list_presets,
    thin_alexnet,
    thin_small_alexnet,
)
from cnnviz.models.layers import LayerList
from cnnviz.training.recipe import analysis_for

NAMES = list(list_presets())


def params(document: dict[str, object]) -> int:
    return analyze(LayerList.model_validate(document)).total_params


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_can_be_built_and_every_arm_says_what_it_changes(name: str, form: Form) -> None:
    experiment = get_preset(name).form(form)
    assert experiment.name == name
    for arm in experiment.names:
        assert analysis_for(experiment.recipe(arm), 10).total_params > 0
    assert all(changes_text(experiment, arm) for arm in experiment.names[1:])


@pytest.mark.parametrize("name", NAMES)
def test_small_forms_need_no_network_and_have_several_seeds(name: str) -> None:
    small = get_preset(name).small
    for arm in small.names:
        recipe = small.recipe(arm)
        assert datasets.get(recipe.dataset).offline
        assert recipe.validation == 0
    assert len(small.seeds) >= 3


def test_a_preset_answers_to_the_name_that_it_had_before() -> None:
    assert get_preset("article-d") is get_preset("alexnet-stl10")


def test_another_start_is_told_in_a_line() -> None:
    text = changes_text(get_preset("alexnet-stl10").small, "He initialization")
    assert text == (
        "layers conv1, conv3, fc1 and 2 more: init weights normal → he; "
        "conv2, conv4, conv5: init weights normal → he, bias 1 → 0"
    )


def test_both_forms_ask_the_same_question() -> None:
    for ready in list_presets().values():
        assert ready.small.question == ready.large.question


def test_thin_networks_have_the_articles_proportions() -> None:
    """By hand: widths 6, 16, 24, 24, 16 and 256, kernels 4, 5, 3, 3, 3, and 16 maps of 6×6 at the end."""
    convs = 6 * 49 + 16 * 151 + 24 * 145 + 24 * 217 + 16 * 217
    assert params(thin_alexnet()) == convs + 256 * (16 * 36 + 1) + 256 * 257 + 10 * 257
    assert 4 < params(thin_alexnet()) / params(thin_small_alexnet()) < 5
    assert params(alexnet_resizing((32, 227))) == 58_322_314
    assert params(inception_trio(naive=True)) > 4 * params(inception_trio(naive=False))


def test_looking_them_up_imports_no_torch() -> None:
    looking = "from cnnviz.experiments.presets import list_presets; list_presets()"
    code = f"import sys; {looking}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ValueError, match="did you mean dropout"):
        get_preset("dropuot")
