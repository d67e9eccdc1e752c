"""Where the recipes of several runs differ. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cnnviz.training.recipe import Recipe

WORDS = frozenset(("format", "name", "description", "assumed"))
"""Fields that say nothing of how a run goes."""


class Differing(NamedTuple):
    """A field, what it means, and its value in each recipe."""

    field: str
    description: str
    values: tuple[Any, ...]


def differing(recipes: Sequence[Mapping[str, Any]]) -> list[Differing]:
    """The fields in which at least two recipes differ, in the order of a recipe's fields.

    A field that a recipe lacks, because it was written before there was one, has its default there. What a
    recipe has and this version does not know comes last.
    """
    known = Recipe.model_fields
    defaults = Recipe().model_dump(mode="json")
    names = [*known, *dict.fromkeys(name for recipe in recipes for name in recipe if name not in known)]
    found = []
    for name in names:
        values = tuple(recipe.get(name, defaults.get(name)) for recipe in recipes)
        if name not in WORDS and any(value != values[0] for value in values[1:]):
            info = known.get(name)
            found.append(Differing(name, (info and info.description) or "", values))
    return found


def value_text(value: Any) -> str:
    """A recipe's value in a cell: `yes`, `0.05`, `activation tanh`; a dash for none."""
    if value is None or value == "" or value == {}:
        return "—"
    match value:
        case bool():
            return "yes" if value else "no"
        case {"layers": list(layers)}:
            return f"a list of {len(layers)} layers"
        case dict():
            return ", ".join(f"{key} {value_text(part)}" for key, part in value.items())
        case float():
            return f"{value:g}"
        case int():
            return f"{value:,}" if value >= 10_000 else str(value)
        case _:
            return str(value)
