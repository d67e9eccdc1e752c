"""How the loss of a run went, measured against what somebody reaches who never looks at an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cnnviz.diagnosis.evidence.accuracy import error
from cnnviz.diagnosis.evidence.evidence import Evidence, Points
from cnnviz.diagnosis.finding import Fact
from cnnviz.diagnosis.numbers import fixed

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
