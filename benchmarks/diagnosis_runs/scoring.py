"""From what was planted and what was named to figures: arithmetic alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
ENOUGH = 0.9
"""Of the healthy run's accuracy: what a mended run must reach, and what a plant must not."""
LEARNT = 0.3
"""What a healthy run must reach: three times what guessing one of ten classes gives."""


@dataclass(frozen=True)
class Named:
    """One failing run: what was planted, and which causes were named, in order."""

    planted: tuple[str, ...]
    also: tuple[str, ...]
    named: tuple[str, ...]

    @property
    def first(self) -> bool:
        """Whether the first named is what was planted."""
        return bool(self.named) and self.named[0] in {*self.planted, *self.also}

    @property
    def complete(self) -> bool:
        """Whether every planted cause is named at some place, be it by another name that is right."""
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


def share(hits: Iterable[bool]) -> str:
    """`57 of 60 (95 %)`."""
    every = list(hits)
    part = f" ({statistics.fmean(every):.0%})" if every else ""
    return f"{sum(every)} of {len(every)}{part}"
