"""Experiment: question, base recipe, conditions and seeds; its URL encoding, and diffs of recipes as text.

Every condition runs with the same seeds. Runs with the same seed share the initial weights (if the networks
are the same), the order of images and the validation images, so each seed gives one *pair* of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnviz.models import url_codec
from cnnviz.models.layers import LayerList
from cnnviz.sentences import key_words
from cnnviz.training.recipe import MAX_BYTES, Recipe, differing, value_text

METRIC = "test/accuracy"
"""Compared metric: test accuracy after the last epoch, never the best of all epochs."""
MAX_CONDITIONS, MAX_SEEDS = 12, 50
BASE = "as it is"
NOT_CHANGED = frozenset(("seed", "name", "description", "assumed", "format", "code"))
"""Fields that no condition may change: seeds belong to the experiment, the others have no effect."""


class Condition(BaseModel):
    """Condition of an experiment: its name in the verdict, and its changes of the base recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=60)
    changes: dict[str, Any] = Field(min_length=1)
    """Recipe fields and their values; `options` is merged into the base recipe's."""


class Cell(NamedTuple):
    """One run of an experiment: condition and seed."""

    condition: str
    seed: int


class Experiment(BaseModel):
    """Definition of an experiment, as a JSON document."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    format: Literal["cnnviz-experiment/1"] = "cnnviz-experiment/1"
    name: str = Field("experiment", min_length=1, max_length=60)
    question: str = Field(min_length=1, max_length=300)
    base: Recipe
    base_name: str = Field(BASE, min_length=1, max_length=60)
    conditions: tuple[Condition, ...] = Field(alias="arms", min_length=1, max_length=MAX_CONDITIONS)
    """Stored as `arms`, as in documents, links and results since the first version."""
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, max_length=MAX_SEEDS)

    @model_validator(mode="after")
    def _conditions_can_be_run(self) -> Experiment:
        if len(set(self.names)) < len(self.names):
            raise ValueError("two conditions have the same name")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        if not all(0 <= seed < 2**63 for seed in self.seeds):
            raise ValueError("a seed is a whole number from 0 on")
        for condition in self.conditions:
            forbidden = sorted(NOT_CHANGED & set(condition.changes))
            if forbidden:
                raise ValueError(
                    f"condition '{condition.name}' changes '{forbidden[0]}', which is not for a condition to "
                    "change"
                )
            if not self.base.difference(changed(self.base, condition.changes)):
                raise ValueError(f"condition '{condition.name}' is the same recipe as the baseline")
        return self

    @classmethod
    def of(cls, **fields: Any) -> Experiment:
        """Create an experiment; raise `ValueError` with a one-sentence message if it is invalid."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ValueError(_message(error)) from None

    @classmethod
    def read(cls, text: str | bytes) -> Experiment:
        """Parse a JSON document; raise `ValueError` with a one-sentence message if it is invalid."""
        if len(text) > MAX_BYTES:
            raise ValueError(f"An experiment is at most {MAX_BYTES // 1000:,} kB long, and this is longer.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(_message(error)) from None

    def write(self) -> str:
        """Serialize as compact JSON without default values; the inverse of `read`."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"base"})
        return json.dumps(
            {"format": self.format, **values, "base": json.loads(self.base.write())},
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all conditions, the baseline first."""
        return (self.base_name, *(condition.name for condition in self.conditions))

    def cells(self) -> Iterator[Cell]:
        """Yield all runs, seed by seed, so that pairs are complete early."""
        for seed in self.seeds:
            for name in self.names:
                yield Cell(name, seed)

    def recipe(self, name: str, seed: int | None = None) -> Recipe:
        """Return the recipe of a condition, or of the baseline, with a seed (the base recipe's if None)."""
        base = self.base
        if name != self.base_name:
            base = changed(
                self.base, next(condition.changes for condition in self.conditions if condition.name == name)
            )
        words = {"name": f"{self.name}: {name}"[:80]}
        return base.changed(words if seed is None else words | {"seed": seed})

    def with_seeds(self, count: int) -> Experiment:
        """Return the experiment with seeds 0 … count - 1; raise `ValueError` for count < 1."""
        return self.of(**{**dict(self), "seeds": tuple(range(count))})


def changed(base: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return `base` with changed values; `options` are merged unless the model changes.

    Raises `ValueError` with a one-sentence message.
    """
    values = dict(changes)
    if isinstance(values.get("options"), Mapping) and "model" not in values:
        values["options"] = {**base.options, **values["options"]}
    return base.changed(values)


def from_change(
    recipe: Recipe,
    change_values: Mapping[str, Any],
    question: str,
    *,
    condition: str = "with the change",
    seeds: int = 3,
) -> Experiment:
    """Create an experiment that compares a recipe with a changed copy of it.

    Args:
        recipe: The baseline.
        change_values: Recipe fields and their new values; `options` is merged.
        question: At most 300 characters.
        condition: Name of the changed recipe.
        seeds: Number of runs of each.

    Raises:
        ValueError: The change is invalid, or changes nothing.
    """
    return Experiment.of(
        name="test",
        question=question,
        base=recipe,
        conditions=({"name": condition, "changes": dict(change_values)},),
        seeds=tuple(range(seeds)),
    )


def _message(error: ValidationError) -> str:
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    detail = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return f"This is not JSON ({detail}); an experiment is a JSON document."
    return f"The experiment cannot be read{f' at {location}' if location else ''}: {detail.rstrip('.')}."


# Experiments in URLs.


def pack(experiment: Experiment) -> str:
    """Encode the experiment for a URL; raise `ValueError` if it is too long."""
    text = url_codec.packed(experiment.write())
    if text is None:
        raise ValueError("This experiment is too long for a link; take it along as a file.")
    return text


def unpack(text: str) -> Experiment:
    """Decode an experiment from a URL; raise `ValueError` with a one-sentence message if it is invalid."""
    return Experiment.read(url_codec.unpacked(text, "An", "experiment"))


# Differences of two recipes as text; of options and layers only the differing parts.

NAMED = 4
"""Maximum number of layers that are named; of more, the first ones and the number of the rest."""


def changes_text(experiment: Experiment, name: str) -> str:
    """Describe the changes of a condition: `scale unit → standardised; layers norm1, norm2 added`."""
    pairs = list_changes(experiment.recipe(experiment.base_name), experiment.recipe(name))
    return "; ".join(f"{key_words(field)} {words}" for field, words in pairs)


class Changed(NamedTuple):
    """A changed recipe field or model option."""

    field: str
    words: str
    """`0.5 → 0.05`; for layer lists the layers that differ, and how."""


def list_changes(old: Recipe, new: Recipe) -> list[Changed]:
    """List the differences of two recipes in the order of their fields; each option separately."""
    pair = [recipe.model_dump(mode="json") for recipe in (old, new)]
    return [change for field, _, values in differing(pair) for change in _field(field, *values)]


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
    """Describe the layers that differ, by name."""
    before, after = (_by_name(document) for document in (old, new))
    parts = []
    for present, absent, verb in ((before, after, "removed"), (after, before, "added")):
        unmatched = [name for name in present if name not in absent]
        if unmatched:
            parts.append(f"{_names(unmatched)} {verb}")
    list_changes: dict[str, list[str]] = {}
    for name, layer in after.items():
        if name in before and layer != before[name]:
            list_changes.setdefault(_fields(before[name], layer), []).append(name)
    return "; ".join([*parts, *(f"{_names(names)}: {text}" for text, names in list_changes.items())])


def _by_name(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return dict(zip(LayerList.model_validate(document).names(), document["layers"], strict=True))


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old["kind"] != new["kind"]:
        return f"{old['kind'].replace('_', ' ')} → {new['kind'].replace('_', ' ')}"
    return ", ".join(_differing(key, old[key], new[key]) for key in new if new[key] != old[key])


def _differing(key: str, old: Any, new: Any) -> str:
    """Describe the change of a layer's field; if nested, its changed parts: `init weights normal → he`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        # The standard deviation has an effect with normal initialization only.
        unused = {"std"} if new.get("weights", "normal") != "normal" else set()
        parts = [name for name in new if old.get(name) != new[name] and name not in unused]
        return f"{key} {', '.join(f'{name} {_value(old.get(name))} → {_value(new[name])}' for name in parts)}"
    return f"{key} {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, list | tuple) else value_text(value)


def _names(names: list[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
