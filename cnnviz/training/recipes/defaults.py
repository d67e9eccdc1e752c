"""The default recipe of a model and a data set: what Start offers, and `cnnviz train` where none is named.

Each was chosen by the accuracy on a fifth of the training images (`benchmarks.defaults --tune` prints it);
`benchmarks.defaults` prints what all of them reach on the test images with other seeds.
"""

from __future__ import annotations

from cnnviz import datasets, models
from cnnviz.training.recipe import Recipe

GENERIC = "default"
"""What the default is called for a pair that none was measured for."""
_PREFIX = "default-"
_SMALL = 5_000
"""Training images up to which a data set is small: more epochs then, of smaller batches."""

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
"""Small batches and a rate that rises and falls (Smith and Topin, 2017): safe for small networks."""


def _pair(model: str, dataset: str, **settings: object) -> Recipe:
    """Make the default recipe of a model and a data set; `settings` differ from `_ONE_CYCLE`."""
    title = f"Default for {models.get(model).title} on {datasets.get(dataset).title}."
    named = {"name": f"{_PREFIX}{model}-{dataset}", "description": title, "model": model, "dataset": dataset}
    return _ONE_CYCLE.model_copy(update={**named, **settings})


RECIPES = (
    _pair("lenet5", "digits"),
    _pair("lenet5-1998", "digits", lr=0.01),
    _pair("small-googlenet-32", "digits", lr=0.05, epochs=5),
    _pair("lenet5", "shapes", lr=0.05, epochs=8),
)


def is_default(name: str) -> bool:
    """Check whether a recipe's name is that of a default."""
    return name == GENERIC or name.startswith(_PREFIX)


def default_recipe(spec: models.ModelSpec, dataset: str | None = None) -> Recipe:
    """Look up the default recipe of a model on a data set.

    Args:
        spec: The model.
        dataset: A data set's name; where it is None, one that is on this machine comes before one that would
            have to be downloaded.

    Returns:
        A measured or published recipe of the pair, where there is one, else one of common settings.
    """
    from cnnviz.training.recipes import all_recipes  # this file is one of those that it collects

    known = [recipe for recipe in all_recipes().values() if recipe.model == spec.name]
    known.sort(key=lambda recipe: (not recipe.name.startswith("fast-"), not is_default(recipe.name)))
    if dataset is None:
        known = [recipe for recipe in known if is_on_disk(recipe.dataset)]
        return known[0] if known else _generic(spec, "digits" if spec.input_shape[0] == 1 else "shapes")
    return next((one for one in known if one.dataset == dataset), None) or _generic(spec, dataset)


def is_on_disk(dataset: str) -> bool:
    """Check whether a registered data set can be had without a network."""
    spec = datasets.specs().get(dataset)
    return spec is not None and (spec.offline or datasets.prepared(dataset) is not None)


def _generic(spec: models.ModelSpec, dataset: str) -> Recipe:
    """Make a recipe of common settings, by how many images there are."""
    known = datasets.specs().get(dataset)
    few = known is not None and known.train <= _SMALL
    size = {} if few else {"epochs": 10, "batch_size": 128, "lr": 0.05}
    about = f"Common settings for {spec.title} on {known.title if known else dataset}; not measured."
    return _ONE_CYCLE.model_copy(
        update={"description": about, "model": spec.name, "dataset": dataset, **size}
    )
