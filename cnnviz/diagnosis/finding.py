"""What a rule says when it has found something: plain values, from which page, CLI and report draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnviz.training.recipe import Recipe


@dataclass(frozen=True)
class Fact:
    """One number that speaks for the finding."""

    label: str
    value: float
    text: str
    """The number as people read it, with its unit."""


@dataclass(frozen=True)
class Series:
    """One line of a picture."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    dashed: bool = False


@dataclass(frozen=True)
class Lines:
    """Curves over steps; `reference` draws a level with its name, such as ln 10."""

    title: str
    series: tuple[Series, ...]
    x_label: str = "step"
    y_label: str = ""
    logarithmic: bool = False
    reference: tuple[str, float] | None = None
    alt: str = ""
    percent: bool = field(default=False, kw_only=True)
    """Whether values are shares in [0, 1], to be written as percentages."""


@dataclass(frozen=True)
class Bars:
    """One bar a layer or class and series; `names` are along the axis."""

    title: str
    names: tuple[str, ...]
    values: Mapping[str, tuple[float | None, ...]]
    """By the name of a series: one value for each of `names`."""
    y_label: str = ""
    logarithmic: bool = False
    reference: tuple[str, float] | None = None
    marked: tuple[str, ...] = ()
    """Of `names`, those that the finding is about."""
    alt: str = ""
    percent: bool = field(default=False, kw_only=True)
    """Whether values are shares in [0, 1], to be written as percentages."""


@dataclass(frozen=True)
class Images:
    """Pictures with a line under each; PNG in base64."""

    title: str
    images: tuple[tuple[str, str], ...]
    alt: str = ""


Picture = Lines | Bars | Images


@dataclass(frozen=True)
class Change:
    """A change of the recipe that should fix it."""

    values: Mapping[str, Any]
    """Recipe fields and their new values; `options` is merged into what is there, unless `model` changes."""
    why: str
    """One sentence, to stand beside a button."""

    def recipe(self, old: Recipe) -> Recipe:
        """`old` with the change; raises `ValueError` with one sentence where it cannot be."""
        values = dict(self.values)
        if "options" in values and "model" not in values:
            values["options"] = {**old.options, **values["options"]}
        return old.changed(values)


@dataclass(frozen=True)
class CodeFix:
    """What to change in a training loop that is not ours."""

    text: str
    """One or two sentences."""
    code: str = ""
    """Python that a reader can take over, lines parted by newlines."""

    def __str__(self) -> str:
        return f"{self.text}\n{self.code}" if self.code else self.text


@dataclass(frozen=True)
class Note:
    """A remark that is no fault of a run, such as why validation accuracy lies above training accuracy."""

    kind: str
    """A stable identifier, words joined by hyphens."""
    text: str
    """A sentence or two that stand alone."""


@dataclass(frozen=True)
class Finding:
    """A cause, with what speaks for it.

    `confidence` is how sure the rule is, `effect` how much of what the run could have reached it is judged
    to cost; both in [0, 1].
    """

    cause: str
    confidence: float
    effect: float
    verdict: str
    """One sentence that stands alone."""
    explanation: str
    """For a student, with the arithmetic worked out; paragraphs are parted by empty lines."""
    facts: tuple[Fact, ...]
    pictures: tuple[Picture, ...] = ()
    layers: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    ruled_out: tuple[str, ...] = ()
    """Other causes that could look so, and by what they are out: a sentence each."""
    changes: tuple[Change, ...] = ()
    explains: tuple[str, ...] = field(default=(), kw_only=True)
    """Causes that, if found too, follow from this one and are told after it."""
    fix: CodeFix | None = field(default=None, kw_only=True)
    """Of a run whose loop is somebody's own, in place of `changes`."""
    hides: tuple[str, ...] = field(default=(), kw_only=True)
    """Causes whose signs this one makes by itself: beside it nobody can tell whether they are there."""
