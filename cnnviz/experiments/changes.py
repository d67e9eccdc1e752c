"""What an arm changes, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cnnviz.experiments.experiment import Experiment
from cnnviz.training.differing import differing, value_text

NAMED = 4
"""Layers that are named; of more, the first and how many follow."""


def changes_text(experiment: Experiment, name: str) -> str:
    """What an arm changes of the base: `scale unit → standardised; layers norm1, norm2 added`."""
    pair = [experiment.recipe(arm).model_dump(mode="json") for arm in (experiment.base_name, name)]
    return "; ".join(_field(field, *values) for field, _, values in differing(pair))


def _field(field: str, old: Any, new: Any) -> str:
    if field == "layers" and old and new:
        return f"layers {_layers(old['layers'], new['layers'])}"
    if field == "options":
        pairs = ((key, old.get(key, "default"), new.get(key, "default")) for key in {**old, **new})
        return "; ".join(_change(key, a, b) for key, a, b in pairs if a != b)
    return _change(field, old, new)


def _change(field: str, old: Any, new: Any) -> str:
    return f"{field.replace('_', ' ')} {value_text(old)} → {value_text(new)}"


def _layers(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> str:
    """Which layers differ, by their names, and in what."""
    before, after = ({layer["name"]: layer for layer in layers} for layers in (old, new))
    told = []
    for there, other, verb in ((before, after, "removed"), (after, before, "added")):
        lone = [name for name in there if name not in other]
        if lone:
            told.append(f"{_names(lone)} {verb}")
    changed: dict[str, list[str]] = {}
    for name, layer in after.items():
        if name in before and layer != before[name]:
            changed.setdefault(_fields(before[name], layer), []).append(name)
    return "; ".join([*told, *(f"{_names(names)}: {what}" for what, names in changed.items())])


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
