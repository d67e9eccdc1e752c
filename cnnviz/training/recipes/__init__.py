"""Named recipes: each file here defines `RECIPES`, and each file is found by itself."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from rapidfuzz import process

from cnnviz.training.recipe import Recipe

# The registry of named recipes: files in `cnnviz.training.recipes`, each found by itself.


@functools.cache
def all_recipes() -> dict[str, Recipe]:
    """Every named recipe by its name."""
    found: dict[str, Recipe] = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in importlib.import_module(f"{__name__}.{module.name}").RECIPES:
            if recipe.name in found:
                raise ValueError(f"Two recipes are called '{recipe.name}'.")
            found[recipe.name] = recipe
    return found


def get(name: str) -> Recipe:
    """The recipe called `name`; raises `ValueError` that suggests the nearest."""
    known = all_recipes()
    if name in known:
        return known[name]
    near = [match for match, _, _ in process.extract(name, known.keys(), limit=2, score_cutoff=60)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m cnnviz recipes list` lists them all."
    raise ValueError(f"There is no recipe '{name}'; {hint}")
