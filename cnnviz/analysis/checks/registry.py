"""Registry of static checks, by identifier; runs them on an analysis or on a layer list."""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cnnviz.analysis.checks.activations import FUNCTIONS
from cnnviz.analysis.checks.network import Network
from cnnviz.analysis.core import kind_of
from cnnviz.analysis.receptive_field import slide
from cnnviz.analysis.types import WHOLE, Analysis, Graph, Kind, Node, ReceptiveField, Row
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
    Softmax,
    Step,
)

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""In descending order: prevents learning, probably harms it, worth knowing."""
MODULES = ("layers", "shapes")
"""Modules of this package that register checks."""


@dataclass(frozen=True, slots=True)
class Violation:
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


CheckFunction = Callable[[Network], Iterable[Violation]]


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
    """Return a decorator that registers a function `(Network) -> Iterable[Violation]` as a check."""

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


# Checks of a layer list, without building it: its layers become the rows and graph of an analysis.

_TYPES = {
    "conv": "Conv2d",
    "linear": "Linear",
    "global_pool": "AdaptiveAvgPool2d",
    "batch_norm": "BatchNorm2d",
    "lrn": "LocalResponseNorm",
    "dropout": "Dropout",
    "flatten": "Flatten",
    "resize": "Upsample",
    "softmax": "Softmax",
}
_BLOCKS = ("inception", "naive_inception", "residual")
_TYPE_OF = {function: name for name, function in reversed(FUNCTIONS.items())}


def check_layers(document: LayerList) -> tuple[Problem, ...]:
    """Check a layer list up to its first misfit; the inside of a block is not checked.

    A list that cannot be built has that as its first error.
    """
    problems = check_analysis(_chain(document))
    broken = document.problem()
    if not broken or any(problem.check == "class-count" for problem in problems):
        return problems
    layers = tuple(step.name for step in document.steps() if step.problem)
    misfit = Problem(
        "misfit",
        "Layers that do not fit",
        "error",
        layers,
        broken,
        "Change the layer or the one before it.",
        "",
    )
    return (misfit, *problems)


def _chain(document: LayerList) -> Analysis:
    steps = [step for step in document.steps() if step.input_shape and step.output_shape]
    complete = len(steps) == len(document.layers)
    rows = tuple(_rows(steps))
    last = rows[-1].output_shape if rows else document.input
    nodes = [Node(0, "", "input", "other", "", document.input)]
    if complete:
        nodes.append(Node(1, "", "output", "other", "", last))
    nodes += [Node(n, row.name, row.name, row.kind, "", row.output_shape) for n, row in enumerate(rows, 2)]
    order = [0, *range(2, len(rows) + 2), *([1] if complete else [])]
    edges = tuple(itertools.pairwise(order))
    graph = Graph(tuple(nodes), edges)
    return Analysis(document.name, document.name, document.input, document.classes, {}, rows, graph)


def _rows(steps: Sequence[Step]) -> Iterator[Row]:
    field = ReceptiveField()
    for step in steps:
        layer, input_shape, output_shape = step.layer, step.input_shape or (), step.output_shape or ()
        kind: Kind = "other" if layer.kind in _BLOCKS else kind_of(layer)
        settings = _settings(step)
        field = _receptive_field(layer, field, settings)
        yield Row(
            step.name, _type(step), kind, input_shape, output_shape, settings, step.params,
            outputs=1, receptive_field=field, calls=1,
        )  # fmt: skip


def _settings(step: Step) -> dict[str, Any]:
    settings = step.layer.model_dump(exclude={"name", "kind", "init"})
    if isinstance(step.layer, Conv | Linear):
        settings |= {"in": (step.input_shape or (0,))[0], "out": (step.output_shape or (0,))[0]}
    if isinstance(step.layer, Conv | Pool):
        settings["kernel"] = _sides(settings["kernel"])
        settings["stride"] = settings["stride"] or settings["kernel"]
    return settings


def _receptive_field(layer: Layer, field: ReceptiveField, settings: dict[str, Any]) -> ReceptiveField:
    if isinstance(layer, Conv | Pool):
        return slide(
            field, settings["kernel"], settings["stride"], settings["padding"], settings.get("dilation", 1)
        )
    same = isinstance(layer, Activation | Softmax | BatchNorm | LocalResponseNorm | Dropout)
    return field if same else WHOLE


def _sides(value: int | tuple[int, int] | list[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _type(step: Step) -> str:
    layer = step.layer
    if isinstance(layer, Activation):
        return _TYPE_OF[layer.function]
    if isinstance(layer, Pool):
        return "MaxPool2d" if layer.mode == "max" else "AvgPool2d"
    return _TYPES.get(layer.kind, type(layer).__name__)
