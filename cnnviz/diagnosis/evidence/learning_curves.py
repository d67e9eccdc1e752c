"""Learning curves: how loss and accuracy of a run went, against chance level and sampling error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cnnviz.diagnosis.evidence.evidence import Evidence, Neighbours, Points
from cnnviz.diagnosis.finding import Fact, Lines, Series
from cnnviz.diagnosis.numbers import fixed, percent

# How well a run did on what it learnt from and on what it did not: what most rules about data begin with.

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
    data, repeated = evidence.data, evidence.quality.repeats
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
    repeated = evidence.quality.repeats
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


STUCK = 0.1
"""Of the way from chance to perfect: no more than luck and the commonest class explain."""
NEARLY_THERE = 0.8
"""Of the way from chance to perfect: what is missing there is more than fine tuning brings."""
BLOWN = 1.5
"""Times the loss at chance level: a model so much worse than one that never looks was thrown there."""
LUCK = 2.0
"""Standard errors above chance: one guess in 44 is so good."""
HUGE = 1e100
"""A loss whose square is still a number."""
POOR = 0.5
"""Half the way: a run that came farther learns, however much better it could be."""


@dataclass(frozen=True)
class LossCurve:
    """What came of the training loss; losses in nats."""

    chance: float
    """Of one who knows only how common the classes are: their entropy, ln(classes) where all are alike."""
    loss: Points
    """The training loss as it was reported."""
    end: float
    """The newest tenth of it, on average."""
    learned: float
    """How far it came from chance (0) to perfect (1): the best of loss and accuracy, trained on or not."""

    @property
    def start(self) -> float:
        """The first loss that was reported; of fresh weights where that was the first step's."""
        return self.loss.values[0]

    @property
    def fact(self) -> Fact:
        """Where it stands, in a finding."""
        return Fact("newest loss", self.end, f"{fixed(self.end, 3)} (chance level: {fixed(self.chance, 3)})")

    @property
    def worst(self) -> float:
        """The largest."""
        return max(self.loss.values)

    @property
    def blown(self) -> bool:
        """Whether it was once far worse than it began, and than one who never looks."""
        return max(self.loss.values[1:], default=0.0) > BLOWN * max(self.chance, self.start)

    @property
    def stuck(self) -> bool:
        """Whether it is where it would be without learning, or worse."""
        return self.learned < STUCK

    @property
    def falling(self) -> bool:
        """Whether the last quarter lies below the one before it.

        By a hundredth of the chance level, and by more than twice the standard error of the difference.
        """
        values = [max(-HUGE, min(value, HUGE)) for value in self.loss.values]
        quarter = len(values) // 4
        if quarter < 1:
            return False
        last, before = values[-quarter:], values[-2 * quarter : -quarter]
        error = math.sqrt((_variance(last) + _variance(before)) / quarter)
        return fmean(before) - fmean(last) > max(2 * error, self.chance / 100)


def summarize_loss(evidence: Evidence) -> LossCurve | None:
    """The course of a run; None before the first report and where there is nothing to choose from."""
    loss, chance = evidence.curve("train/loss"), chance_loss(evidence)
    if not loss.steps:
        loss = evidence.curve("train/epoch_loss")
    if not loss.steps or chance <= 0:
        return None
    end = fmean(loss.values[-max(1, len(loss) // 10) :])
    return LossCurve(chance, loss, end, _learned(evidence, end, chance))


def chance_loss(evidence: Evidence) -> float:
    """The loss at chance level by how common classes are; auxiliary classifiers guess too.

    Where the loss is balanced by class weights all classes are alike to it, however common they are.
    """
    counts = [count for count in evidence.data.counts if count]
    if evidence.recipe.class_weights == "balanced":
        guess = math.log(len(counts)) if counts else 0.0
    else:
        guess = _entropy(counts)
    heads = sum(name.startswith("train/aux") for name in evidence.curves)
    return (guess or evidence.chance_loss) * (1 + heads * evidence.recipe.aux_weight)


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) if total else 0.0


def _learned(evidence: Evidence, end: float, chance: float) -> float:
    """Of both held-out parts: where labels are wrong in training, validation images tell of it as little."""
    data, newest = evidence.data, _newest_accuracy(evidence)
    losses = [evidence.curve(f"{part}/loss").last for part in ("val", "test")]
    plain = chance  # The held-out loss has no class weights.
    if evidence.recipe.class_weights == "balanced":
        plain = _entropy([count for count in data.counts if count]) or chance
    ways = [1 - end / chance, *(1 - loss / plain for loss in losses if loss is not None)]
    for part, images in (("val", data.validation), ("test", data.test)):
        ways += _beyond(evidence, evidence.curve(f"{part}/accuracy").last, images)
    return max(ways + _beyond(evidence, newest, data.train))


def _beyond(evidence: Evidence, right: float | None, images: int) -> list[float]:
    """How far an accuracy is from chance to perfect, where it is not one of those that luck brings about."""
    chance = evidence.chance
    if right is None or right - chance < LUCK * error(chance, images):
        return []
    return [(right - chance) / max(1 - chance, 1e-9)]


def _newest_accuracy(evidence: Evidence) -> float | None:
    whole = evidence.curve("train/epoch_accuracy").last
    part = evidence.curve("train/accuracy").values
    return whole if whole is not None else fmean(part[-max(1, len(part) // 10) :]) if part else None


def _variance(values: Sequence[float]) -> float:
    mean = fmean(values)
    return fmean((value - mean) ** 2 for value in values)
