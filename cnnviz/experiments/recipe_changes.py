"""In what two recipes differ, in words: of options and layers only what differs in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnviz.experiments.experiment import Experiment
from cnnviz.models.layers import LayerList
from cnnviz.training.recipe import Recipe, differing, value_text

NAMED = 4
"""Layers that are named; of more, the first and how many follow."""


def changes_text(experiment: Experiment, name: str) -> str:
    """What an arm changes of the base: `scale unit → standardised; layers norm1, norm2 added`."""
    pairs = changed(experiment.recipe(experiment.base_name), experiment.recipe(name))
    return "; ".join(f"{field.replace('_', ' ')} {words}" for field, words in pairs)


class Changed(NamedTuple):
    """A field of a recipe, or an option of its model, and what becomes of it."""

    field: str
    words: str
    """`0.5 → 0.05`; of a layer list which layers differ, and in what."""


def changed(old: Recipe, new: Recipe) -> list[Changed]:
    """What differs between two recipes, in the order of their fields; each option by itself."""
    pair = [recipe.model_dump(mode="json") for recipe in (old, new)]
    return [each for field, _, values in differing(pair) for each in _field(field, *values)]


def _field(field: str, old: Any, new: Any) -> list[Changed]:
    if field == "layers" and old and new:
        return [Changed(field, _layers(old, new))]
    if field == "options":
        pairs = ((key, old.get(key, "default"), new.get(key, "default")) for key in {**old, **new})
        return [_change(key, a, b) for key, a, b in pairs if a != b]
    return [_change(field, old, new)]


def _change(field: str, old: Any, new: Any) -> Changed:
    return Changed(field, f"{value_text(old)} → {value_text(new)}")


def _layers(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which layers differ, by their names, and in what."""
    before, after = (_by_name(document) for document in (old, new))
    parts = []
    for there, other, verb in ((before, after, "removed"), (after, before, "added")):
        lone = [name for name in there if name not in other]
        if lone:
            parts.append(f"{_names(lone)} {verb}")
    changed: dict[str, list[str]] = {}
    for name, layer in after.items():
        if name in before and layer != before[name]:
            changed.setdefault(_fields(before[name], layer), []).append(name)
    return "; ".join([*parts, *(f"{_names(names)}: {what}" for what, names in changed.items())])


def _by_name(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return dict(zip(LayerList.model_validate(document).names(), document["layers"], strict=True))


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old["kind"] != new["kind"]:
        return f"{old['kind'].replace('_', ' ')} → {new['kind'].replace('_', ' ')}"
    return ", ".join(_differing(key, old[key], new[key]) for key in new if new[key] != old[key])


def _differing(key: str, old: Any, new: Any) -> str:
    """A field's change; of one that has fields itself, those that changed: `init weights normal → he`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        # The standard deviation is the normal rule's alone; elsewhere it stands there and does nothing.
        idle = {"std"} if new.get("weights", "normal") != "normal" else set()
        inner = [name for name in new if old.get(name) != new[name] and name not in idle]
        return f"{key} {', '.join(f'{name} {_value(old.get(name))} → {_value(new[name])}' for name in inner)}"
    return f"{key} {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, list | tuple) else value_text(value)


def _names(names: list[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
