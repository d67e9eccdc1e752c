"""Registry of static checks: functions in `cnnviz.analysis.checks`, by identifier."""

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
"""In descending order: prevents learning, probably harms it, worth knowing."""
MODULES = ("layers", "shapes")
"""Modules of this package that register checks."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a check function, without the metadata of its check."""

    severity: Severity
    layers: tuple[str, ...]
    """Names of the rows concerned; empty where the model itself calls a function."""
    message: str
    """One sentence: the problem and why it matters."""
    fix: str
    """One sentence: what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Structural problem of a network."""

    check: str
    """Identifier of the check."""
    title: str
    severity: Severity
    layers: tuple[str, ...]
    message: str
    fix: str
    reference: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values, the output of `cnnviz check --json`."""
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
    """Structural rule and the function that detects violations."""

    identifier: str
    """Stable identifier: words joined by hyphens."""
    title: str
    reference: str
    run: CheckFunction


_CHECKS: dict[str, Check] = {}


def check(identifier: str, *, title: str, reference: str) -> Callable[[CheckFunction], CheckFunction]:
    """Return a decorator that registers a function `(Network) -> Iterable[Found]` as a check."""

    def wrap(function: CheckFunction) -> CheckFunction:
        if identifier in _CHECKS:
            raise ValueError(f"Two checks are called '{identifier}'.")
        _CHECKS[identifier] = Check(identifier, title, reference, function)
        return function

    return wrap


@functools.cache
def checks() -> dict[str, Check]:
    """Return all checks by identifier."""
    for name in MODULES:
        importlib.import_module(f"cnnviz.analysis.checks.{name}")
    return dict(_CHECKS)


def check_analysis(analysis: Analysis) -> tuple[Problem, ...]:
    """Run every check on an analyzed network; the order is errors, warnings, notes."""
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
