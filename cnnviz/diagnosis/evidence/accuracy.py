"""How well a run did on what it learnt from and on what it did not: what most rules about data begin with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence.evidence import Evidence, Neighbours, Points
from cnnviz.diagnosis.finding import Fact, Lines, Series
from cnnviz.diagnosis.numbers import percent

# Whether a run's last epoch is typical of it, or a jump to the worse after better ones.

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
    error = math.sqrt((_last_epochs_variance(last) + _last_epochs_variance(reached)) / images)
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


def _last_epochs_variance(share: float) -> float:
    return max(share * (1 - share), 0.0)


ENOUGH = 100
"""Validation images, below which the test images say more: a share of 100 is known to ± 10 points."""
WELL = 0.9
"""Of the way from chance to all right: from here on a run counts as one that works."""

ERRORS = 3
"""Standard errors beyond which a difference is no accident: one in 370 would be."""


@dataclass(frozen=True)
class AccuracySummary:
    """After the last epoch that is typical: accuracies in [0, 1]."""

    learnt: float
    """On the training images while they were learnt from, with dropout and augmentation."""
    held: float
    """On images that were not."""
    part: str
    """`validation` or `test`: which those are."""
    images: int
    """How many they are."""
    chance: float
    """Of the best constant answer."""

    @property
    def gap(self) -> float:
        """By how much better what was learnt is known."""
        return self.learnt - self.held

    @property
    def error(self) -> float:
        """Standard error of `held`."""
        return error(self.held, self.images)

    @property
    def learnt_well(self) -> bool:
        """Whether the training images are known."""
        return self.above(self.learnt) >= WELL

    @property
    def well(self) -> bool:
        """Whether the held-out images are known."""
        return self.above(self.held) >= WELL

    @property
    def lost(self) -> float:
        """How much of the way from chance to all right is missing on the held-out images, in [0, 1]."""
        return min(1.0, max(0.0, 1 - self.above(self.held)))

    @property
    def at_chance(self) -> bool:
        """Whether the held-out images are known no better than by a constant answer, within three errors."""
        return self.held < self.chance + 3 * max(self.error, error(self.chance, self.images))

    def above(self, accuracy: float) -> float:
        """How far an accuracy is on the way from chance (0) to all right (1)."""
        return (accuracy - self.chance) / max(1 - self.chance, 1e-9)

    @property
    def facts(self) -> tuple[Fact, Fact]:
        """Both accuracies."""
        return (
            Fact("accuracy in training", self.learnt, f"{percent(self.learnt, 1)}"),
            Fact(f"accuracy on {self.part} images", self.held, f"{percent(self.held, 1)} of {self.images:,}"),
        )


def error(share: float, count: int) -> float:
    """Standard error of a share of `count` images: √(p(1 − p)/n)."""
    return math.sqrt(max(share * (1 - share), 0.0) / max(count, 1))


def share_labels(near: Neighbours) -> bool:
    """Whether neighbours share labels oftener than accident lets them."""
    return near.share > near.chance + ERRORS * error(near.chance, near.pairs)


def accuracy_summary(evidence: Evidence) -> AccuracySummary | None:
    """Where the run stands; None before the end of its first epoch, and with fewer than two classes.

    That is after its last epoch, or where this was a fall (`last_epochs`), after a usual one before it.
    """
    part = part_for(evidence)
    learnt = typical(evidence, evidence.curve("train/epoch_accuracy"))
    held = typical(evidence, evidence.curve(f"{_PREFIX[part]}/accuracy"))
    if learnt is None or held is None or evidence.classes < 2:
        return None
    images = evidence.data.validation if part == "validation" else evidence.data.test
    return AccuracySummary(learnt, held, part, images, evidence.chance)


def knows_test(evidence: Evidence) -> bool:
    """Whether the test images are known better than by a constant answer, beyond accident."""
    images, chance = evidence.data.test, evidence.chance
    test = typical(evidence, evidence.curve("test/accuracy"))
    return test is not None and test > chance + ERRORS * max(error(test, images), error(chance, images))


def held_out(evidence: Evidence, now: AccuracySummary) -> float:
    """Of validation and test images together, the part that is known: twice as many vary less.

    Of the part that `now` goes by alone, where test images stand among the training images.
    """
    parts = (
        (typical(evidence, evidence.curve("val/accuracy")), evidence.data.validation),
        (typical(evidence, evidence.curve("test/accuracy")), evidence.data.test),
    )
    known = [(share, images) for share, images in parts if share is not None and images]
    repeated = evidence.census.repeats
    if len(known) < 2 or (repeated and repeated.test):
        return now.held
    return sum(share * images for share, images in known) / sum(images for _, images in known)


def part_for(evidence: Evidence) -> str:
    """The held-out part to go by: `validation` where it is large enough, else `test`."""
    seen = evidence.curve("val/accuracy").steps
    return "validation" if seen and evidence.data.validation >= ENOUGH else "test"


def accuracies(evidence: Evidence, title: str) -> Lines:
    """Accuracy over steps in training and on held-out images, against a constant answer."""
    return _curves(evidence, title, "accuracy", ("a constant answer", evidence.chance), percent=True)


def losses(evidence: Evidence, title: str) -> Lines:
    """Loss over steps in training and on held-out images, against that at chance level."""
    reference = (f"ln {evidence.classes}", evidence.chance_loss)
    return _curves(evidence, title, "loss", reference, percent=False)


_PREFIX = {"validation": "val", "test": "test"}


def _curves(
    evidence: Evidence, title: str, measure: str, reference: tuple[str, float], *, percent: bool
) -> Lines:
    part = part_for(evidence)
    wanted = (("in training", f"train/epoch_{measure}"), (f"on {part} images", f"{_PREFIX[part]}/{measure}"))
    curves = [(name, evidence.curve(curve)) for name, curve in wanted]
    ends = "; ".join(f"{measure} {name} ends at {points.last:.3g}" for name, points in curves if points.steps)
    return Lines(
        title=title,
        series=tuple(Series(name, tuple(map(float, points.steps)), points.values) for name, points in curves),
        y_label=measure,
        reference=reference,
        alt=f"{ends[:1].upper()}{ends[1:]}.",
        percent=percent,
    )
