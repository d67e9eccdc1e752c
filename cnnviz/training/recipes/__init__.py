"""Registry of named recipes, found in every module of this package as `RECIPES`; and the default recipes."""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil

from rapidfuzz import process

from cnnviz import datasets, models
from cnnviz.training.recipe import Recipe


@functools.cache
def all_recipes() -> dict[str, Recipe]:
    """Return all named recipes by name."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    ]
    recipes: dict[str, Recipe] = {}
    for recipe in itertools.chain(default_recipes(), *(module.RECIPES for module in modules)):
        if recipe.name in recipes:
            raise ValueError(f"Two recipes are called '{recipe.name}'.")
        recipes[recipe.name] = recipe
    return recipes


def get(name: str) -> Recipe:
    """Return a recipe by name; raise `ValueError` with suggestions if there is none."""
    recipes = all_recipes()
    if name in recipes:
        return recipes[name]
    suggestions = [match for match, _, _ in process.extract(name, recipes.keys(), limit=2, score_cutoff=60)]
    hint = (
        f"did you mean {' or '.join(suggestions)}?"
        if suggestions
        else "`python -m cnnviz recipes list` lists them all."
    )
    raise ValueError(f"There is no recipe '{name}'; {hint}")


# Default recipes by model and data set, for the Start page and for `cnnviz train` without a recipe. Each was
# tuned on a held-out fifth of the training images (`benchmarks.defaults --tune` prints the results);
# `benchmarks.defaults` prints test accuracies with other seeds.

GENERIC = "default"
"""Name of the default recipe of a pair without measurements."""
_PREFIX = "default-"
_SMALL = 5_000
"""Maximum number of training images of a small data set, which gets more epochs and smaller batches."""

_ONE_CYCLE = Recipe(
    name=GENERIC,
    epochs=15,
    batch_size=32,
    optimiser="nesterov",
    lr=0.03,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
    scale="standardised",
    pad_crop=2,
)
"""Small batches with a one-cycle schedule (Smith and Topin, 2017): robust for small networks."""


def _pair(model: str, dataset: str, **settings: object) -> Recipe:
    """Create the default recipe of a model and a data set; `settings` override `_ONE_CYCLE`."""
    title = f"Default for {models.get(model).title} on {datasets.get(dataset).title}."
    named = {"name": f"{_PREFIX}{model}-{dataset}", "description": title, "model": model, "dataset": dataset}
    return _ONE_CYCLE.model_copy(update={**named, **settings})


def default_recipes() -> tuple[Recipe, ...]:
    """Return the default recipes that were measured."""
    return (
        _pair("lenet5", "digits"),
        _pair("lenet5-1998", "digits", lr=0.01),
        _pair("small-googlenet-32", "digits", lr=0.05, epochs=5),
        _pair("lenet5", "shapes", lr=0.05, epochs=8),
    )


def is_default(name: str) -> bool:
    """Return whether a recipe's name is that of a default recipe."""
    return name == GENERIC or name.startswith(_PREFIX)


def default_recipe(spec: models.ModelSpec, dataset: str | None = None) -> Recipe:
    """Return the default recipe of a model on a data set.

    Args:
        spec: The model.
        dataset: Name of a data set; by default one that is on this machine is preferred over one that must be
            downloaded.

    Returns:
        A measured or published recipe of the pair if there is one, else one with common settings.
    """
    candidates = [recipe for recipe in all_recipes().values() if recipe.model == spec.name]
    candidates.sort(key=lambda recipe: (not recipe.name.startswith("fast-"), not is_default(recipe.name)))
    if dataset is None:
        candidates = [recipe for recipe in candidates if is_on_disk(recipe.dataset)]
        return (
            candidates[0]
            if candidates
            else _generic(spec, "digits" if spec.input_shape[0] == 1 else "shapes")
        )
    return next((candidate for candidate in candidates if candidate.dataset == dataset), None) or _generic(
        spec, dataset
    )


def is_on_disk(dataset: str) -> bool:
    """Return whether a registered data set is available offline."""
    spec = datasets.find(dataset)
    return spec is not None and (spec.offline or datasets.prepared(dataset) is not None)


def _generic(spec: models.ModelSpec, dataset: str) -> Recipe:
    """Create a recipe with common settings, depending on the number of images."""
    data_spec = datasets.find(dataset)
    is_small = data_spec is not None and data_spec.train <= _SMALL
    size = {} if is_small else {"epochs": 10, "batch_size": 128, "lr": 0.05}
    about = f"Common settings for {spec.title} on {data_spec.title if data_spec else dataset}; not measured."
    return _ONE_CYCLE.model_copy(
        update={"description": about, "model": spec.name, "dataset": dataset, **size}
    )
