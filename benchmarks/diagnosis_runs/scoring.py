"""From what was planted and what was named to figures: arithmetic alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.diagnosis_runs.accepted import UNEXPLAINED

T = TypeVar("T")
ENOUGH = 0.9
"""Of the healthy run's accuracy: what a fixed run must reach, and what a plant must not."""
LEARNT = 0.3
"""What a healthy run must reach: three times what guessing one of ten classes gives."""


@dataclass(frozen=True)
class Named:
    """One failing run: what was planted, and which causes were named, in order."""

    planted: tuple[str, ...]
    also: tuple[str, ...]
    named: tuple[str, ...]
    accepted: frozenset[str] = frozenset()
    """Mechanisms, written down before: right in the second count."""
    outcome: str = ""
    """Of the diagnosis, one of four."""
    contradictions: tuple[str, ...] = ()

    @property
    def of_unknown_cause(self) -> bool:
        """Whether no rule is meant to know what was planted."""
        return UNEXPLAINED in self.planted

    @property
    def strictly_first(self) -> bool:
        """Whether the first named is what was planted; `UNEXPLAINED` is named by the outcome."""
        if self.of_unknown_cause:
            return self.outcome == UNEXPLAINED
        return self.named[:1] != () and self.named[0] in self.planted

    @property
    def first(self) -> bool:
        """Whether the first named is what was planted, or another name of the same thing."""
        other = self.named[:1] != () and self.named[0] in self.also and not self.of_unknown_cause
        return self.strictly_first or other

    @property
    def by_mechanism(self) -> bool:
        """Whether the first named is what was planted or its mechanism."""
        return self.first or (self.named[:1] != () and self.named[0] in {*self.accepted, *self.also})

    @property
    def comforts(self) -> bool:
        """Whether a run is called healthy."""
        return self.outcome == "healthy"

    @property
    def complete(self) -> bool:
        """Whether every planted cause is named at some place, be it by another name that is right."""
        if self.of_unknown_cause:
            return self.outcome == UNEXPLAINED
        return {*self.planted} <= {*self.named} or bool({*self.also} & {*self.named})


@dataclass(frozen=True)
class Score:
    """Of one cause."""

    cause: str
    planted: int
    first: int
    """Of its runs, those in which it, or what was planted beside it, is named first."""
    at_all: int
    falsely: int
    """Of the runs in which it was not planted, those in which it is named first."""
    others: int
    """How many runs those are."""


def by_cause(runs: Sequence[Named]) -> list[Score]:
    """A score for every cause that was planted or named first, in the order of their names."""
    planted = {cause for run in runs for cause in run.planted}
    named = {run.named[0] for run in runs if run.named}
    return [_score(cause, runs) for cause in sorted(planted | named)]


def _score(cause: str, runs: Sequence[Named]) -> Score:
    own = [run for run in runs if cause in run.planted]
    rest = [run for run in runs if cause not in {*run.planted, *run.also}]
    return Score(
        cause,
        planted=len(own),
        first=sum(run.first for run in own),
        at_all=sum(cause in run.named for run in own),
        falsely=sum(run.named[:1] == (cause,) for run in rest),
        others=len(rest),
    )


def hurts(accuracy: float, healthy: float) -> bool:
    """Whether a run fails beside its healthy twin: what does no harm is no plant."""
    return accuracy < ENOUGH * healthy


def learnt(accuracy: float, usual: float) -> bool:
    """Whether a run meant to be healthy is: not far below another on its data, and well above chance."""
    return accuracy >= LEARNT and not hurts(accuracy, usual)


def mended(accuracy: float, healthy: float) -> bool:
    """Whether a changed run comes near enough to the healthy one."""
    return accuracy >= ENOUGH * healthy


def spread(every: Sequence[T], most: int | None) -> list[T]:
    """At most so many of them, evenly chosen; all where `most` is None."""
    if most is None or most >= len(every):
        return list(every)
    return [every[number * len(every) // most] for number in range(most)]


def wilson(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson, 1927), 95 %; raises `ValueError` for a count of none."""
    if count < 1:
        raise ValueError("A share of nothing has no interval.")
    part, spread = hits / count, z * z / count
    middle = (part + spread / 2) / (1 + spread)
    half = z * math.sqrt(part * (1 - part) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def with_interval(hits: Iterable[bool]) -> str:
    """`57 of 60 (95.0 %, Wilson 86.3 to 98.3 %)`."""
    every = list(hits)
    if not every:
        return "0 of 0"
    low, high = wilson(sum(every), len(every))
    return f"{sum(every)} of {len(every)} ({sum(every) / len(every):.1%}, Wilson {low:.1%} to {high:.1%})"


def share(hits: Iterable[bool]) -> str:
    """`57 of 60 (95 %)`."""
    every = list(hits)
    part = f" ({statistics.fmean(every):.0%})" if every else ""
    return f"{sum(every)} of {len(every)}{part}"
