"""Registry of named recipes: every module in this package defines `RECIPES` and is found automatically."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from rapidfuzz import process

from cnnviz.training.recipe import Recipe


@functools.cache
def all_recipes() -> dict[str, Recipe]:
    """Return all named recipes by name."""
    recipes: dict[str, Recipe] = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in importlib.import_module(f"{__name__}.{module.name}").RECIPES:
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
