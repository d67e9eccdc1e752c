"""Generalization gap of a run, the least gap that counts as over-fitting, and sampling error."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.diagnosis.evidence.evidence import Evidence, Points
from cnnviz.diagnosis.evidence.learning_curves import (
    AccuracySummary,
    has_risen,
    held_out_accuracy,
    standard_error,
)

BY_HEART = 0.97
"""Chance-corrected training accuracy from which the training images are memorized."""
GAP_BY_HEART, GAP, LARGE_GAP = 0.1, 0.15, 0.3
"""Generalization gap: with memorized training images, with a rising held-out loss, and otherwise. Digits and
CIFAR-10 trained with care end with 1 to 8 points, and half-way through a run, while both still improve,
15 are usual.
"""
ONE_SIDED = 1.64
"""Standard errors by which a gap has to exceed the least one: 95 % certain, one-sided. At the border itself
every other run that is said to over-fit would not.
"""
RISEN = 1.1
"""Multiple of its minimum from which the held-out loss has turned, where one would stop early (Prechelt,
"Early stopping, but when?", 1998).
"""


@dataclass(frozen=True)
class GeneralizationGap:
    """Training minus held-out accuracy, validation and test images together."""

    held_out: float
    """Held-out accuracy."""
    images: int
    """Number of held-out images."""
    gap: float
    least: float
    """Gap from which it counts as over-fitting."""
    turned_up: bool
    """Whether the held-out loss has turned."""

    @property
    def tolerance(self) -> float:
        """Sampling error that the gap is known to, one-sided."""
        return ONE_SIDED * standard_error(self.held_out, self.images)

    @property
    def wide(self) -> bool:
        """Whether it is as large as over-fitting begins with, certainly or not."""
        return self.gap >= self.least

    @property
    def certain(self) -> bool:
        """Whether it is wide beyond sampling error."""
        return self.gap >= self.least + self.tolerance


def generalization_gap(evidence: Evidence, now: AccuracySummary) -> GeneralizationGap:
    """Return the gap of the accuracies `now`."""
    held_out, images = held_out_accuracy(evidence, now)
    turned_up = has_risen(held_out_loss(evidence, now), RISEN)
    by_heart = now.above(now.train_accuracy) >= BY_HEART
    least = GAP_BY_HEART if by_heart else GAP if turned_up else LARGE_GAP
    return GeneralizationGap(held_out, images, now.train_accuracy - held_out, least, turned_up)


def held_out_loss(evidence: Evidence, now: AccuracySummary) -> Points:
    """Return the loss curve of the images that `now` counts as held out."""
    return evidence.curve(f"{'val' if now.part == 'validation' else 'test'}/loss")
