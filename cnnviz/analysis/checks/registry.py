"""The registry of static checks: functions in `cnnviz.analysis.checks`, each found by its identifier."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cnnviz.analysis.checks.network import Network
from cnnviz.analysis.types import Analysis

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From what keeps a network from learning, over what probably harms it, to what one may want to know."""
MODULES = ("layers", "shapes")
"""The modules of this package that register checks."""


@dataclass(frozen=True, slots=True)
class Found:
    """Report what a check function found, before the registry adds what it knows of the check."""

    severity: Severity
    layers: tuple[str, ...]
    """Names of the rows concerned; empty where the model itself calls a function."""
    message: str
    """One sentence: what is so, and why it matters."""
    fix: str
    """One sentence: what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Describe one fault of a network's structure."""

    check: str
    """The check's identifier."""
    title: str
    severity: Severity
    layers: tuple[str, ...]
    message: str
    fix: str
    reference: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values, as `cnnviz check --json` prints them."""
        return {
            "check": self.check,
            "title": self.title,
            "severity": self.severity,
            "layers": list(self.layers),
            "message": self.message,
            "fix": self.fix,
            "reference": self.reference,
        }


CheckFunction = Callable[[Network], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class Check:
    """Hold one structural rule and the function that looks for its violation."""

    identifier: str
    """Stable; words joined by hyphens."""
    title: str
    reference: str
    run: CheckFunction


_CHECKS: dict[str, Check] = {}


def check(identifier: str, *, title: str, reference: str) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function `(Network) -> Iterable[Found]` as a check."""

    def wrap(function: CheckFunction) -> CheckFunction:
        if identifier in _CHECKS:
            raise ValueError(f"Two checks are called '{identifier}'.")
        _CHECKS[identifier] = Check(identifier, title, reference, function)
        return function

    return wrap


@functools.cache
def checks() -> dict[str, Check]:
    """Return every check by its identifier."""
    for name in MODULES:
        importlib.import_module(f"cnnviz.analysis.checks.{name}")
    return dict(_CHECKS)


def check_analysis(analysis: Analysis) -> tuple[Problem, ...]:
    """Run every check on an analysed network; errors come first, then warnings, then notes."""
    network = Network(analysis)
    problems = [
        Problem(
            rule.identifier,
            rule.title,
            finding.severity,
            finding.layers,
            finding.message,
            finding.fix,
            rule.reference,
        )
        for rule in checks().values()
        for finding in rule.run(network)
    ]
    return tuple(sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity)))
