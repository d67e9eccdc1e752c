"""Which network a recipe means, before any of it is built. Importing this imports no torch."""

from __future__ import annotations

from cnnviz import models
from cnnviz.analysis import Analysis, analyze
from cnnviz.models.library import spec_of
from cnnviz.training.recipe import Recipe


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
