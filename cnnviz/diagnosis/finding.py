"""Findings as plain values, from which page, CLI and report are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnviz.training.recipe import Recipe


@dataclass(frozen=True)
class Fact:
    """One number that supports a finding."""

    label: str
    value: float
    text: str
    """The number formatted, with its unit."""


@dataclass(frozen=True)
class Series:
    """One line of a figure."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    dashed: bool = False


@dataclass(frozen=True)
class Lines:
    """Line figure over steps; `reference` draws a named level, such as ln 10."""

    title: str
    series: tuple[Series, ...]
    x_label: str = "step"
    y_label: str = ""
    logarithmic: bool = False
    reference: tuple[str, float] | None = None
    alt: str = ""
    percent: bool = field(default=False, kw_only=True)
    """Whether values are fractions in [0, 1], to be formatted as percentages."""


@dataclass(frozen=True)
class Bars:
    """Bar figure by layer or class and series; `names` are along the axis."""

    title: str
    names: tuple[str, ...]
    values: Mapping[str, tuple[float | None, ...]]
    """Series name → one value for each of `names`."""
    y_label: str = ""
    logarithmic: bool = False
    reference: tuple[str, float] | None = None
    marked: tuple[str, ...] = ()
    """The `names` that the finding is about."""
    alt: str = ""
    percent: bool = field(default=False, kw_only=True)
    """Whether values are fractions in [0, 1], to be formatted as percentages."""


@dataclass(frozen=True)
class Images:
    """Images with captions; PNG in base64."""

    title: str
    images: tuple[tuple[str, str], ...]
    alt: str = ""


Picture = Lines | Bars | Images


@dataclass(frozen=True)
class Change:
    """A recipe change that should fix the fault."""

    values: Mapping[str, Any]
    """Recipe fields and their new values; `options` are merged with the existing ones, unless `model`
    changes.
    """
    why: str
    """One sentence, shown beside the button."""

    def recipe(self, old: Recipe) -> Recipe:
        """Return `old` with the change; raises `ValueError` with one sentence for an invalid recipe."""
        values = dict(self.values)
        if "options" in values and "model" not in values:
            values["options"] = {**old.options, **values["options"]}
        return old.changed(values)


@dataclass(frozen=True)
class CodeFix:
    """A change of a training loop that is not ours."""

    text: str
    """One or two sentences."""
    code: str = ""
    """Python to copy, lines separated by newlines."""

    def __str__(self) -> str:
        return f"{self.text}\n{self.code}" if self.code else self.text


@dataclass(frozen=True)
class Note:
    """A remark that is no fault of a run, such as why validation accuracy is above training accuracy."""

    kind: str
    """A stable identifier, words joined by hyphens."""
    text: str
    """A self-contained sentence or two."""


@dataclass(frozen=True)
class Finding:
    """A cause with its evidence.

    `confidence` is how sure the rule is, `effect` the estimated fraction of the reachable accuracy that it
    costs; both in [0, 1].
    """

    cause: str
    confidence: float
    effect: float
    verdict: str
    """One self-contained sentence."""
    explanation: str
    """For a student, with worked numbers; paragraphs are separated by empty lines."""
    facts: tuple[Fact, ...]
    pictures: tuple[Picture, ...] = ()
    layers: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    ruled_out: tuple[str, ...] = ()
    """Other causes with similar signs and what rules them out: a sentence each."""
    changes: tuple[Change, ...] = ()
    explains: tuple[str, ...] = field(default=(), kw_only=True)
    """Causes that follow from this one and are then listed after it."""
    fix: CodeFix | None = field(default=None, kw_only=True)
    """For a run with a user's own loop, in place of `changes`."""
    hides: tuple[str, ...] = field(default=(), kw_only=True)
    """Causes whose signs this one produces too, so that they cannot be checked."""
