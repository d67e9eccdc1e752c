"""Whether a run's last epoch is typical of it, or a jump to the worse after better ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence import Evidence, Points

EPOCHS = 4
"""Fewer say nothing of what is usual."""
BACK = 5
"""Epochs before the last that it is compared with: what was reached is the second best of them, so that no
single lucky epoch counts."""
LOST = 0.1
"""Of the way from chance to what was reached, lost by the last epoch."""
LEAST = 0.05
"""Of the accuracy: less is what one epoch differs from the next by."""
STANDARD_ERRORS = 3.5
"""Of the difference; one accident in 2,000, as every run that ends is asked."""


@dataclass(frozen=True)
class Fall:
    """The last epoch lies below what had been reached, by more than sampling explains."""

    reached: float
    last: float
    step: int
    """Of the epoch that had reached it."""
    images: int
    """Held-out images, of all parts together."""
    error: float
    """Standard error of the difference."""

    @property
    def lost(self) -> float:
        """How much."""
        return self.reached - self.last


def fall(evidence: Evidence) -> Fall | None:
    """Compare the last epoch's held-out accuracy with the five before it; None where it is no worse."""
    seen, images = pooled(evidence)
    if len(seen) < EPOCHS or not images:
        return None
    last = seen.values[-1]
    before = sorted(zip(seen.values[-1 - BACK : -1], seen.steps[-1 - BACK : -1], strict=True), reverse=True)
    reached, step = before[1]
    error = math.sqrt((_variance(last) + _variance(reached)) / images)
    least = max(LEAST, LOST * (reached - evidence.chance), STANDARD_ERRORS * error)
    return Fall(reached, last, step, images, error) if reached - last > least else None


def pooled(evidence: Evidence) -> tuple[Points, int]:
    """Held-out accuracy by epoch, validation and test images taken together, and how many they are.

    Test images that are training images too do not count: what they tell is memory.
    """
    data, repeated = evidence.data, evidence.census.repeats
    parts = [
        (evidence.curve("val/accuracy"), data.validation),
        (evidence.curve("test/accuracy"), data.test if not (repeated and repeated.test) else 0),
    ]
    known = [(points, images) for points, images in parts if len(points) and images]
    if len(known) == 2 and known[0][0].steps == known[1][0].steps:
        (one, many), (other, more) = known
        pairs = zip(one.values, other.values, strict=True)
        values = tuple((a * many + b * more) / (many + more) for a, b in pairs)
        return Points(steps=one.steps, values=values), many + more
    return max(known, key=lambda pair: pair[1], default=(Points(), 0))


def typical(evidence: Evidence, points: Points) -> float | None:
    """The newest value of a curve, or where the last epoch is a fall, that of the epoch before it."""
    fallen = fall(evidence)
    if fallen is None:
        return points.last
    known = dict(zip(points.steps, points.values, strict=True))
    return known.get(fallen.step, points.last)


def risen(losses: Points, times: float) -> bool:
    """Whether a loss has turned and goes up: its last two epochs, not one alone, lie above the least."""
    values = losses.values
    if len(values) < 3:
        return False
    return min(values[-2:]) > times * min(values[:-2])


def _variance(share: float) -> float:
    return max(share * (1 - share), 0.0)
