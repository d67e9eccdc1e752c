"""One run before it is trained: a network, a recipe, data and what is wrong with them, and a name for it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.diagnosis_runs import accepted, data, norm_models, sources
from benchmarks.diagnosis_runs.networks import Plan, normed
from cnnviz.datasets.spec import Arrays
from cnnviz.training import Recipe


@dataclass(frozen=True)
class Setup:
    """All that decides a run, in a form that is easily changed in one place."""

    name: str
    source: str
    """One of `sources.SOURCES`."""
    plan: Plan | None
    """None for a registered model, which `values` then name."""
    values: Mapping[str, Any]
    """Recipe fields."""
    flaws: tuple[tuple[str, data.Flaw], ...] = ()
    """What is done to the data, each with words that tell it from others."""
    grey: bool = False
    """Whether the model reads one channel, whatever the data has."""
    training_mode: bool = False
    """Whether it is judged in training mode."""
    side: int = 0
    """Of its images as the network reads them; 0 where no plant asks."""

    def but(self, plan: Plan | None = None, **values: Any) -> Setup:
        """With another network, other recipe fields, or both."""
        return replace(self, plan=plan or self.plan, values={**self.values, **values})

    def flawed(self, words: str, flaw: data.Flaw) -> Setup:
        """With one more thing done to the data."""
        return replace(self, flaws=(*self.flaws, (words, flaw)))

    @property
    def net(self) -> Plan:
        """The plan; raises `ValueError` for a registered model."""
        if self.plan is None:
            raise ValueError(f"{self.name} has a registered model, which is not changed layer by layer.")
        return self.plan

    def arrays(self, folder: Path | None) -> Arrays:
        """Its data, flaws and all."""
        made = sources.source(self.source, folder)
        for _, flaw in self.flaws:
            made = flaw(made)
        return made

    @property
    def dataset(self) -> str:
        """A name that does not tell what is wrong with it."""
        marks = "/".join(words for words, _ in self.flaws)
        return f"{self.source}-{zlib.crc32(marks.encode()):08x}" if marks else self.source + "-bench"

    def recipe(self, folder: Path | None, seed: int) -> Recipe:
        """The recipe; its data, and the bench's own models, are registered under the names in it."""
        norm_models.register()
        data.register(self.dataset, lambda: self.arrays(folder))
        channels, height, width = data.shape_of(self.arrays(folder))
        values: dict[str, Any] = {**self.values, "dataset": self.dataset, "seed": seed, "device": "cpu"}
        if self.plan is not None:
            values["layers"] = self.plan.layers((1 if self.grey else channels, height, width))
        return Recipe.model_validate(values)


Change = Callable[[Setup], Setup]


@dataclass(frozen=True)
class Plant:
    """A known cause (or two), how it is planted, and beside what it is measured."""

    causes: tuple[str, ...]
    """The first named must be one of them; with two, each counts for itself as named at all."""
    spoil: Change
    twin: Change = field(default=lambda setup: setup)
    """The healthy run that the spoiled one is measured against."""
    mendable: bool = True
    """Whether a recipe can fix it: wrong data and wrong code stay wrong."""
    flatters: bool = False
    """Whether its figure is too good and not too bad."""
    also: tuple[str, ...] = ()
    """Other names of the same thing, right if named first too."""
    word: str = ""
    """Tells two plants of the same cause apart."""

    @property
    def accepted(self) -> frozenset[str]:
        """What may be said first for it: its mechanism or its other name; `causes` are not among them."""
        return (accepted.accepted(self.causes) | {*self.also}) - {*self.causes}

    @property
    def name(self) -> str:
        """The causes, joined, with the word."""
        return "+".join(self.causes) + (f"-{self.word}" if self.word else "")


def with_norm(setup: Setup) -> Setup:
    """With batch normalization."""
    return setup.but(normed(setup.net))
