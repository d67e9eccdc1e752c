"""Registry of rules and notes: functions in the modules of this package, which register themselves.

A module holds a cause, or a few that share evidence; every module is found by itself, in subpackages too.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Finding, Note
from cnnviz.diagnosis.fixes import Direction


@dataclass(frozen=True)
class Negative:
    """Result of a rule: the cause is ruled out; `by` is a sentence with the number tested."""

    by: str


@dataclass(frozen=True)
class Inconclusive:
    """Result of a rule: the evidence is insufficient; `why` is a sentence on what is missing."""

    why: str


Outcome = Finding | Negative | Inconclusive
RuleFunction = Callable[[Evidence], Outcome]


@dataclass(frozen=True)
class Rule:
    """One cause and the function that tests for it."""

    cause: str
    """A stable identifier, words joined by hyphens."""
    title: str
    summary: str
    """One sentence: what goes wrong."""
    apply: RuleFunction
    live: bool
    """Whether it applies to a run that is still going."""
    moves: Mapping[str, Direction] = field(default_factory=dict)
    """Direction in which a change must move each quantity: recipe fields, and those of `fixes._MEASURES`."""
    loop: bool = False
    """Whether it tests for a fault of the training loop, which only watched runs can have."""


Remark = Callable[[Evidence], Note | None]

_RULES: dict[str, Rule] = {}
_NOTES: dict[str, Remark] = {}


def rule(
    cause: str,
    *,
    title: str,
    summary: str,
    live: bool = False,
    moves: Mapping[str, Direction] | None = None,
    loop: bool = False,
) -> Callable[[RuleFunction], RuleFunction]:
    """Register the function that tests for `cause`; changes against `moves` are not proposed."""

    def wrap(function: RuleFunction) -> RuleFunction:
        if cause in _RULES and _RULES[cause].apply.__qualname__ != function.__qualname__:
            raise ValueError(f"Two rules look for '{cause}'.")
        _RULES[cause] = Rule(cause, title, summary, function, live, moves or {}, loop)
        return function

    return wrap


def note(kind: str) -> Callable[[Remark], Remark]:
    """Register a function that returns the `Note` of this kind, or None where there is nothing to say."""

    def wrap(remark: Remark) -> Remark:
        if kind in _NOTES and _NOTES[kind].__qualname__ != remark.__qualname__:
            raise ValueError(f"Two functions write the note '{kind}'.")
        _NOTES[kind] = remark
        return remark

    return wrap


@functools.cache
def rules() -> dict[str, Rule]:
    """Return all rules by cause."""
    _import_all()
    return dict(sorted(_RULES.items()))


@functools.cache
def notes() -> dict[str, Remark]:
    """Return all note functions by kind."""
    _import_all()
    return dict(sorted(_NOTES.items()))


def _import_all() -> None:
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
