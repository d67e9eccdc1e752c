"""What a finding can rule out beside itself: sentences with the numbers that do it."""

from __future__ import annotations

from cnnviz.diagnosis import arithmetic
from cnnviz.diagnosis.dying import born_dead, dead, relus
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.stages import typical_update
from cnnviz.diagnosis.step_size import early_update, sensible

FACTOR = 3.0
"""Between the rate and the one that would make the first step as long as usual: less is no difference."""


def start(evidence: Evidence) -> tuple[str, ...]:
    """That the initial weights are sound; nothing where they are not, or nobody looked."""
    seen = arithmetic.passage(evidence)
    if seen is None or seen.little or seen.entering <= 0:
        return ()
    return (
        f"The initial weights: they hand {short(seen.share)} of the input's spread on to "
        f"'{seen.last.name}', and {percent(seen.alike)} or more of every layer's outputs tells images apart.",
    )


def rate(evidence: Evidence, last: int | None = None) -> tuple[str, ...]:
    """That steps are as long as is usual, up to step `last`; nothing where they are not.

    Nor where the first steps were much longer than what a sensible rate gives, or ReLUs died since.
    """
    moved, first, change = typical_update(evidence, last=last), early_update(evidence), sensible(evidence)
    if moved is None or not 1e-4 <= moved <= 3e-2:
        return ()
    lower = change is not None and change.values["lr"] * FACTOR < evidence.recipe.lr
    died = bool(evidence.looks) and dead(evidence.looks[-1], relus(evidence)) and not born_dead(evidence)
    if died or (lower and first is not None and first > 3e-2):
        return ()
    return (f"The learning rate: a step moves the median layer by {short(moved)} of its weights.",)
