"""One part of the bench: setups that plants are put into, healthy ones, and how strongly is planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from benchmarks.diagnosis_runs.further import Further
from benchmarks.diagnosis_runs.setups import Setup
from benchmarks.diagnosis_runs.strengths import Strengths

SGD = {"optimiser": "nesterov", "lr": 0.02, "batch_size": 32, "epochs": 10}
ADAM = {"optimiser": "adam", "lr": 3e-3, "batch_size": 50, "epochs": 7}
_QUICK = {"optimiser": "adam", "lr": 1e-3, "batch_size": 50}


@dataclass(frozen=True)
class Part:
    """What is trained together, and diagnosed before or after rules were changed."""

    strengths: Strengths | None = None
    """None where nothing is planted."""
    bases: tuple[Setup, ...] = ()
    """Healthy setups that plants are put into."""
    registered: tuple[Setup, ...] = ()
    """Healthy setups of registered models."""
    planted: tuple[Setup, ...] = ()
    """Registered models that plants are put into: those that a recipe can hold."""
    left_out: Set[tuple[str, str]] = frozenset()
    """Base and plant that make no sense together."""
    without: Set[str] = frozenset()
    """Plants that are not planted at all."""
    quickest: tuple[str, ...] = ()
    """Bases so large that they get only `_QUICKEST` plants."""
    seed: int = 0
    """The first of its seeds."""
    further: Further | None = None
    """Where plants take turns: each goes into one base or two, and not into all."""
    once: bool = False
    """Whether each plant goes into one base only, and a base is set up well in few ways: a small part."""


def registered(name: str, source: str, **values: object) -> Setup:
    return Setup(name, source, None, {"model": name, "options": {}, **_QUICK, **values})


def longer(bases: Sequence[Setup]) -> Iterator[Setup]:
    """Two healthy setups of each: with time enough to learn, and with softened labels beside it."""
    for base in bases:
        more = base.but(epochs=int(base.values["epochs"]) + 3)
        yield from (more, more.but(schedule="cosine", label_smoothing=0.05))
