"""The registry of rules: functions in `cnnviz.diagnosis.rules`, each found by itself."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from cnnviz.diagnosis import rules as folder
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Finding


@dataclass(frozen=True)
class Clear:
    """The cause is ruled out; `by` is a sentence with the number that does it."""

    by: str


@dataclass(frozen=True)
class Untold:
    """The evidence does not say; `why` is a sentence on what is missing."""

    why: str


Outcome = Finding | Clear | Untold
Judge = Callable[[Evidence], Outcome]


@dataclass(frozen=True)
class Rule:
    """One cause and the function that looks for it."""

    cause: str
    """A stable identifier, words joined by hyphens."""
    title: str
    summary: str
    """One sentence: what goes wrong."""
    judge: Judge
    live: bool
    """Whether it can be said of a run that is still going."""


_RULES: dict[str, Rule] = {}


def rule(cause: str, *, title: str, summary: str, live: bool = False) -> Callable[[Judge], Judge]:
    """Register the function that looks for `cause`."""

    def wrap(judge: Judge) -> Judge:
        if cause in _RULES and _RULES[cause].judge.__qualname__ != judge.__qualname__:
            raise ValueError(f"Two rules look for '{cause}'.")
        _RULES[cause] = Rule(cause, title, summary, judge, live)
        return judge

    return wrap


@functools.cache
def rules() -> dict[str, Rule]:
    """Every rule by its cause."""
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{folder.__name__}.{module.name}")
    return dict(sorted(_RULES.items()))
