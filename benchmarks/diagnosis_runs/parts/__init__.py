"""The parts of the bench: rules are tuned on some and judged on those that they have not met.

No two parts share a network of their own, data that is planted in, or the strengths of what is planted. Two
have been used for tuning, and so have `blind` to `blind-4` since each was scored once; `blind-5` was first
diagnosed by rules that had not met it, and so were `blind-6` and `blind-7`, which were defined before the
rules were touched in their issue; rules were tuned on both since, and `blind-8`, small, is what those met
unseen. `blind-9` was defined by somebody who had not read the rules; rules were tuned on its misses since,
and `blind-10` was defined before that by who had not read them then. `every` holds healthy runs only.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.diagnosis_runs import crossing
from benchmarks.diagnosis_runs.parts import (
    blind,
    blind_6,
    blind_7,
    blind_8,
    blind_9,
    blind_10,
    planning,
    tuned,
)
from benchmarks.diagnosis_runs.parts.part import Part
from benchmarks.diagnosis_runs.parts.planning import Planned, marked
from benchmarks.diagnosis_runs.setups import Setup

__all__ = ["PARTS", "Part", "Planned", "failing", "healthy", "marked"]

PARTS: dict[str, Part] = {
    **tuned.PARTS,
    **blind.PARTS,
    "blind-6": blind_6.PART,
    "blind-7": blind_7.PART,
    "blind-8": blind_8.PART,
    "blind-9": blind_9.PART,
    "blind-10": blind_10.PART,
    "every": Part(registered=tuple(crossing.setups()), seed=150),
}


def failing(name: str) -> Iterator[Planned]:
    """Every spoiled run of a part."""
    return planning.failing(PARTS[name])


def healthy(name: str) -> Iterator[tuple[str, Setup, int]]:
    """Runs with nothing wrong, beside the twins: (name, setup, seed)."""
    return planning.healthy(PARTS[name])
