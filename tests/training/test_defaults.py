"""The default recipe of a model and a data set."""

import pytest

from cnnviz import datasets, models
from cnnviz.training import Recipe, all_recipes, recipes
from cnnviz.training.data import steps_per_epoch
from cnnviz.training.recipes import default_recipe, is_default, is_on_disk


@pytest.mark.parametrize("recipe", recipes.default_recipes(), ids=lambda recipe: recipe.name)
def test_a_default_is_offered_for_its_pair_and_needs_no_network(recipe: Recipe) -> None:
    assert default_recipe(models.get(recipe.model), recipe.dataset) == recipe
    assert all_recipes()[recipe.name] == recipe
    assert is_default(recipe.name)
    assert is_on_disk(recipe.dataset)
    assert recipe.changed({}) == recipe, "fields were copied in unchecked: they have to be valid"
    assert steps_per_epoch(datasets.get(recipe.dataset).train, recipe.batch_size) > 10


def test_data_on_disk_come_before_what_would_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    lenet = models.get("lenet5")
    assert default_recipe(lenet).name == "default-lenet5-digits"
    monkeypatch.setattr(recipes, "is_on_disk", lambda name: name in ("digits", "mnist"))
    assert default_recipe(lenet).name == "fast-lenet5-mnist"
    assert default_recipe(lenet, "digits").name == "default-lenet5-digits"


def test_a_pair_that_nobody_measured_gets_common_settings() -> None:
    colour = default_recipe(models.get("resnet18-32"))
    assert (colour.name, colour.model, colour.dataset) == ("default", "resnet18-32", "shapes")
    few = default_recipe(models.get("resnet18-32"), "digits")
    assert few.batch_size < colour.batch_size, "few images: smaller batches, so that there are steps enough"
    assert "not measured" in few.description
    assert default_recipe(models.get("lenet5"), "/somewhere/pictures").dataset == "/somewhere/pictures"
