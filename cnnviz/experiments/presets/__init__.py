"""Preset experiments: the articles' questions, each in a small and a large form.

Every `Preset` in a module of this package is found by itself.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import process

from cnnviz.experiments.experiment import Experiment

# The ready-made experiments: files in `cnnviz.experiments.presets`, each found by itself.

Form = Literal["small", "large"]
FORMS: tuple[Form, ...] = ("small", "large")


@dataclass(frozen=True)
class Preset:
    """A question that the articles raise, as an experiment in two sizes."""

    title: str
    about: str
    """What is compared, and what to look for: two or three sentences."""
    asked_by: str
    """Where the question comes from."""
    limits: str
    """What the small form cannot tell."""
    order: int
    small: Experiment
    """For a laptop: minutes on two cores, without a network."""
    large: Experiment
    """For a GPU, with the articles' data."""

    @property
    def name(self) -> str:
        """Its identifier, the same in both forms."""
        return self.small.name

    def form(self, which: Form) -> Experiment:
        """The experiment in one of its sizes."""
        return self.small if which == "small" else self.large


@functools.cache
def list_presets() -> dict[str, Preset]:
    """Every ready-made experiment by its name, in the order they are listed."""
    result = [
        value
        for module in pkgutil.iter_modules(__path__)
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if isinstance(value, Preset)
    ]
    return {entry.name: entry for entry in sorted(result, key=lambda entry: entry.order)}


ALIASES = {"article-d": "alexnet-stl10"}
"""What presets were called before: links, commands and stored experiments that say so go on working."""


def current_name(name: str) -> str:
    """Resolve a name from before to today's; any other is left as it is."""
    return ALIASES.get(name, name)


def get_preset(name: str) -> Preset:
    """Look up the preset of that name; raises `ValueError` that suggests the nearest."""
    known = list_presets()
    name = current_name(name)
    if name in known:
        return known[name]
    near = [match for match, _, _ in process.extract(name, known.keys(), limit=2, score_cutoff=60)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
    raise ValueError(f"There is no preset '{name}'; {hint}")
