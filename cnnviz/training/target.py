"""Which network a recipe means, before any of it is built. Importing this imports no torch."""

from __future__ import annotations

from cnnviz import datasets, models
from cnnviz.analysis import Analysis, analyze
from cnnviz.models.library import spec_of
from cnnviz.training.recipe import Recipe

LONGEST_NAME = 60
"""Characters of a wrong name that a sentence repeats."""


def spec_for(recipe: Recipe) -> models.ModelSpec:
    """The registered model or the recipe's own layer list; raises `UnknownModelError`."""
    return spec_of(recipe.layers, recipe.layers.name) if recipe.layers else models.get(recipe.model)


def side_for(recipe: Recipe) -> tuple[int, int]:
    """Height and width of the model's input."""
    _, height, width = spec_for(recipe).input_shape
    return (recipe.size, recipe.size) if recipe.size else (height, width)


def analysis_for(recipe: Recipe, classes: int) -> Analysis:
    """The network's facts with so many classes; torch is imported unless they are shipped.

    Raises `UnknownModelError`, and `ValueError` for options or a size with which it cannot work.
    """
    options = None if recipe.layers else recipe.options
    return analyze(spec_for(recipe), side_for(recipe), classes, options)


def require_registered(recipe: Recipe, what: str, allowed: str | None = None) -> None:
    """Refuse a recipe that names data or a model which are not registered: what pages and links may name.

    Args:
        recipe: The recipe, from outside.
        what: What names it, as the sentence begins: `The recipe file`.
        allowed: The data of a run in the run database, which its clone may name.

    Raises `ValueError` in one sentence, and `UnknownModelError`. Nothing is looked up on disk or elsewhere.
    """
    if recipe.layers is None:
        models.get(recipe.model)
    known = datasets.names()
    if recipe.dataset not in known and (allowed is None or recipe.dataset != allowed):
        raise ValueError(unregistered_text(what, recipe.dataset))


def unregistered_text(what: str, name: str) -> str:
    """Say that a page or a link names data that are not registered, and how data get a name."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return (
        f"{what} names '{short}' as data, which is no registered data set; pages take the name of one "
        f"({', '.join(datasets.names())}), and `python -m cnnviz data prepare PATH` on the command line "
        "gives your own a name."
    )
