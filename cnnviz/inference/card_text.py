"""A shipped checkpoint's card for people to read."""

from __future__ import annotations

import json

from cnnviz import models
from cnnviz.inference.card import Card
from cnnviz.models.library import spec_of
from cnnviz.sentences import percent
from cnnviz.training import all_recipes
from cnnviz.training.recipe import Recipe


def text(card: Card) -> str:
    """`card.md`: what it is, how good, and how to make it again."""
    title = _title(card.recipe)
    numbers = "16 bits a number" if card.half else "32 bits a number"
    right = percent(card.accuracy, 2)
    rounding = f" ({percent(card.before_rounding, 2)} before rounding to 16 bits)" if card.half else ""
    facts = {
        "Model": f"{title} (`{card.recipe.model}`), {card.params:,} parameters, {numbers}",
        "Data": f"`{card.recipe.dataset}`, {len(card.classes)} classes; fingerprint `{card.fingerprint}`",
        "Test accuracy": f"{right} of {card.test_images:,} images{rounding}; the last epoch's",
        "Recipe": f"`{card.recipe.name}`, {card.recipe.epochs} epochs, seed {card.recipe.seed}",
        "Input": _input(card),
        "Trained": f"{card.steps:,} steps in {card.seconds:,.0f} s on {card.hardware or 'unknown hardware'}",
        "Versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()) or "unknown",
    }
    lines = "\n".join(f"- **{name}**: {value}." for name, value in facts.items())
    return (
        f"# {card.name}\n\n{_summary(card)}\n\n{lines}\n\n## Classes\n\n{_classes(card)}\n\n"
        f"## Make it again\n\n{_again(card.recipe)}\n"
    )


def _summary(card: Card) -> str:
    return (
        f"Weights of {_title(card.recipe)}, trained by this repository's own engine. Everything below "
        "is also in the metadata of `weights.safetensors`; "
        f"`python -m cnnviz predict PICTURE --checkpoint {card.name}` asks them."
    )


def _title(recipe: Recipe) -> str:
    return (spec_of(recipe.layers, recipe.layers.name) if recipe.layers else models.get(recipe.model)).title


def _input(card: Card) -> str:
    how = card.preprocessing
    kind = "grey" if how.channels == 1 else "colour"
    height, width = how.side
    return f"{width}×{height} {kind}, pixels {how.scale}"


def _classes(card: Card) -> str:
    return ", ".join(card.classes) + "."


def _again(recipe: Recipe) -> str:
    """The command where the recipe is a named one with little changed, else the recipe itself."""
    known = all_recipes().get(recipe.name)
    if known is None or recipe.layers is not None:
        document = f"Save this as `recipe.json`:\n\n```json\n{recipe.write()}```"
        return f"{document}\n\n```\npython -m cnnviz train recipe.json\n```"
    changes = {field: ours for field, (ours, _) in recipe.difference(known).items()}
    words = " ".join(f"--set {field}={_value(value)}" for field, value in changes.items())
    return f"```\n{f'python -m cnnviz train {recipe.name} {words}'.strip()}\n```"


def _value(value: object) -> str:
    if value is None:
        return "none"
    return f"'{json.dumps(value)}'" if isinstance(value, dict) else str(value)
