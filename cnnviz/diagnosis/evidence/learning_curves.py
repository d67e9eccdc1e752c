"""Learning curves: summaries of loss and accuracy of a run, against chance level and sampling error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from cnnviz.diagnosis.evidence import Evidence, Neighbours, Points
from cnnviz.diagnosis.finding import Fact, Lines, Series
from cnnviz.diagnosis.numbers import fixed, percent

# Accuracy in the last epochs: is the last one typical, or a sudden fall after better ones?

EPOCHS = 4
"""Least epochs: fewer do not show what is usual."""
BACK = 5
"""Epochs before the last that it is compared with; the second best of them is the reference, so that a
single lucky epoch does not count.
"""
LOST = 0.1
"""Least fall, as a fraction of the reference above chance."""
MIN_FALL = 0.05
"""Least fall in accuracy: less is ordinary between epochs."""
STANDARD_ERRORS = 3.5
"""Standard errors of the difference: a false alarm in 2,000, as every finished run is tested."""


@dataclass(frozen=True)
class AccuracyFall:
    """Significant fall of held-out accuracy in the last epoch."""

    reached: float
    last: float
    step: int
    """Step of the reference epoch."""
    images: int
    """Held-out images of all parts together."""
    error: float
    """Standard error of the difference."""

    @property
    def lost(self) -> float:
        """Difference of both accuracies."""
        return self.reached - self.last


def last_epoch_fall(evidence: Evidence) -> AccuracyFall | None:
    """Compare the last epoch's held-out accuracy with the five before it; None where there is no fall."""
    accuracy, images = pooled_accuracy(evidence)
    if len(accuracy) < EPOCHS or not images:
        return None
    last = accuracy.values[-1]
    before = sorted(
        zip(accuracy.values[-1 - BACK : -1], accuracy.steps[-1 - BACK : -1], strict=True), reverse=True
    )
    reached, step = before[1]
    error = math.sqrt((_last_epochs_variance(last) + _last_epochs_variance(reached)) / images)
    least = max(MIN_FALL, LOST * (reached - evidence.chance), STANDARD_ERRORS * error)
    return AccuracyFall(reached, last, step, images, error) if reached - last > least else None


def pooled_accuracy(evidence: Evidence) -> tuple[Points, int]:
    """Return held-out accuracy by epoch, validation and test images together, and the number of images.

    Test images among the training images do not count: their accuracy is memorized.
    """
    data, repeated = evidence.data, evidence.quality.repeats
    parts = [
        (evidence.curve("val/accuracy"), data.validation),
        (evidence.curve("test/accuracy"), data.test if not (repeated and repeated.test) else 0),
    ]
    curves = [(points, images) for points, images in parts if len(points) and images]
    if len(curves) == 2 and curves[0][0].steps == curves[1][0].steps:
        (first, first_images), (second, second_images) = curves
        pairs = zip(first.values, second.values, strict=True)
        values = tuple(
            (a * first_images + b * second_images) / (first_images + second_images) for a, b in pairs
        )
        return Points(steps=first.steps, values=values), first_images + second_images
    return max(curves, key=lambda pair: pair[1], default=(Points(), 0))


def typical_value(evidence: Evidence, points: Points) -> float | None:
    """Return the newest value of a curve, or after a fall in the last epoch, that of the reference epoch."""
    fallen = last_epoch_fall(evidence)
    if fallen is None:
        return points.last
    by_step = dict(zip(points.steps, points.values, strict=True))
    return by_step.get(fallen.step, points.last)


def has_risen(losses: Points, times: float) -> bool:
    """Return whether a loss has turned: its last two epochs are above `times` the minimum before."""
    values = losses.values
    if len(values) < 3:
        return False
    return min(values[-2:]) > times * min(values[:-2])


def _last_epochs_variance(share: float) -> float:
    return max(share * (1 - share), 0.0)


ENOUGH = 100
"""Validation images below which test images are used: a fraction of 100 has two standard errors of 10
points.
"""
WELL = 0.9
"""Chance-corrected accuracy from which a run counts as one that works."""

ERRORS = 3
"""Standard errors of a significant difference: one false alarm in 370."""


@dataclass(frozen=True)
class AccuracySummary:
    """Accuracies after the last typical epoch, in [0, 1]."""

    train_accuracy: float
    """Training accuracy, measured during training with dropout and augmentation."""
    held_out_accuracy: float
    """Held-out accuracy."""
    part: str
    """Which images are held out: `validation` or `test`."""
    images: int
    """Number of held-out images."""
    chance: float
    """Accuracy of the best constant prediction."""

    @property
    def gap(self) -> float:
        """Generalization gap: training minus held-out accuracy."""
        return self.train_accuracy - self.held_out_accuracy

    @property
    def error(self) -> float:
        """Standard error of `held_out_accuracy`."""
        return standard_error(self.held_out_accuracy, self.images)

    @property
    def fits_training(self) -> bool:
        """Whether the training images are fitted."""
        return self.above(self.train_accuracy) >= WELL

    @property
    def well(self) -> bool:
        """Whether held-out accuracy is high."""
        return self.above(self.held_out_accuracy) >= WELL

    @property
    def lost(self) -> float:
        """1 − chance-corrected held-out accuracy, in [0, 1]."""
        return min(1.0, max(0.0, 1 - self.above(self.held_out_accuracy)))

    @property
    def at_chance(self) -> bool:
        """Whether held-out accuracy is within three standard errors of a constant prediction."""
        return self.held_out_accuracy < self.chance + 3 * max(
            self.error, standard_error(self.chance, self.images)
        )

    def above(self, accuracy: float) -> float:
        """Return an accuracy chance-corrected: 0 at chance level, 1 for perfect."""
        return (accuracy - self.chance) / max(1 - self.chance, 1e-9)

    @property
    def facts(self) -> tuple[Fact, Fact]:
        """Both accuracies as facts."""
        return (
            Fact("accuracy in training", self.train_accuracy, f"{percent(self.train_accuracy, 1)}"),
            Fact(
                f"accuracy on {self.part} images",
                self.held_out_accuracy,
                f"{percent(self.held_out_accuracy, 1)} of {self.images:,}",
            ),
        )


def first_nonfinite(points: Points) -> int | None:
    """Return the step of a curve's first value that is NaN or infinite; None if all are finite."""
    pairs = zip(points.steps, points.values, strict=True)
    return next((step for step, value in pairs if not math.isfinite(value)), None)


def standard_error(share: float, count: int) -> float:
    """Return the standard error of a fraction of `count` images: √(p(1 − p)/n)."""
    return math.sqrt(max(share * (1 - share), 0.0) / max(count, 1))


def neighbors_agree(neighbors: Neighbours) -> bool:
    """Return whether neighbors share labels significantly beyond chance."""
    return neighbors.share > neighbors.chance + ERRORS * standard_error(neighbors.chance, neighbors.pairs)


def accuracy_summary(evidence: Evidence) -> AccuracySummary | None:
    """Summarize the accuracies; None before the first epoch's end, and with fewer than two classes.

    They are those after the last epoch, or after a fall in it (`last_epoch_fall`), after the reference epoch.
    """
    part = held_out_part(evidence)
    learnt = typical_value(evidence, evidence.curve("train/epoch_accuracy"))
    held = typical_value(evidence, evidence.curve(f"{_PREFIX[part]}/accuracy"))
    if learnt is None or held is None or evidence.classes < 2:
        return None
    images = evidence.data.validation if part == "validation" else evidence.data.test
    return AccuracySummary(learnt, held, part, images, evidence.chance)


def above_chance_on_test(evidence: Evidence) -> bool:
    """Return whether test accuracy is significantly above that of a constant prediction."""
    images, chance = evidence.data.test, evidence.chance
    test = typical_value(evidence, evidence.curve("test/accuracy"))
    return test is not None and test > chance + ERRORS * max(
        standard_error(test, images), standard_error(chance, images)
    )


def held_out_accuracy(evidence: Evidence, now: AccuracySummary) -> tuple[float, int]:
    """Return the accuracy on validation and test images together, a larger sample, and their number.

    On the part of `now` alone, where test images are among the training images.
    """
    parts = (
        (typical_value(evidence, evidence.curve("val/accuracy")), evidence.data.validation),
        (typical_value(evidence, evidence.curve("test/accuracy")), evidence.data.test),
    )
    measured = [(share, images) for share, images in parts if share is not None and images]
    repeated = evidence.quality.repeats
    if len(measured) < 2 or (repeated and repeated.test):
        return now.held_out_accuracy, now.images
    total = sum(images for _, images in measured)
    return sum(share * images for share, images in measured) / total, total


def held_out_part(evidence: Evidence) -> str:
    """Return the held-out part to use: `validation` where it is large enough, else `test`."""
    steps = evidence.curve("val/accuracy").steps
    return "validation" if steps and evidence.data.validation >= ENOUGH else "test"


def accuracy_figure(evidence: Evidence, title: str) -> Lines:
    """Plot training and held-out accuracy over steps, against a constant prediction."""
    return _curves_figure(evidence, title, "accuracy", ("a constant answer", evidence.chance), percent=True)


def loss_figure(evidence: Evidence, title: str) -> Lines:
    """Plot training and held-out loss over steps, against chance level."""
    single = loss_function(evidence) in _OF_ONE_OUTPUT
    reference = (
        ("chance level", chance_loss(evidence))
        if single
        else (f"ln {evidence.classes}", evidence.chance_loss)
    )
    return _curves_figure(evidence, title, "loss", reference, percent=False)


_PREFIX = {"validation": "val", "test": "test"}


def _curves_figure(
    evidence: Evidence, title: str, measure: str, reference: tuple[str, float], *, percent: bool
) -> Lines:
    part = held_out_part(evidence)
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
"""Progress from chance to perfect that luck and the most common class explain."""
NEARLY_THERE = 0.8
"""Progress from chance to perfect below which more is missing than fine-tuning brings."""
BLOWN = 1.5
"""Multiple of the loss at chance level: a model so much worse than one that ignores the images has diverged.
"""
LUCK = 2.0
"""Standard errors above chance: one guess in 44 is as good."""
HUGE = 1e100
"""A loss whose square is still finite."""
POOR = 0.5
"""Progress from chance to perfect from which a run counts as learning."""


@dataclass(frozen=True)
class LossCurve:
    """Summary of the training loss; losses in nats."""

    chance: float
    """Loss of a model that knows only the class frequencies: their entropy, ln(classes) for balanced
    classes.
    """
    loss: Points
    """Training loss as reported."""
    end: float
    """Mean of the last tenth."""
    learned: float
    """Progress from chance (0) to perfect (1): the best of loss and accuracy, on training and held-out
    images.
    """

    @property
    def start(self) -> float:
        """First reported loss: at initialization, where that was the first step's."""
        return self.loss.values[0]

    @property
    def fact(self) -> Fact:
        """Newest loss as a fact."""
        return Fact("newest loss", self.end, f"{fixed(self.end, 3)} (chance level: {fixed(self.chance, 3)})")

    @property
    def worst(self) -> float:
        """Largest loss."""
        return max(self.loss.values)

    @property
    def diverged(self) -> bool:
        """Whether it was once far above both its start and chance level."""
        return max(self.loss.values[1:], default=0.0) > BLOWN * max(self.chance, self.start)

    @property
    def stuck(self) -> bool:
        """Whether it stayed at chance level, or above."""
        return self.learned < STUCK

    @property
    def falling(self) -> bool:
        """Whether the last quarter is below the one before it.

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
    """Summarize the loss curve; None before the first report and with fewer than two classes."""
    loss, chance = evidence.curve("train/loss"), chance_loss(evidence)
    if not loss.steps:
        loss = evidence.curve("train/epoch_loss")
    if not loss.steps or chance <= 0:
        return None
    end = fmean(loss.values[-max(1, len(loss) // 10) :])
    return LossCurve(chance, loss, end, _learned(evidence, end, chance))


def chance_loss(evidence: Evidence) -> float:
    """Return the loss at chance level for the class frequencies, auxiliary classifiers included.

    A loss with balanced class weights treats all classes alike, whatever their frequency. A watched loop's
    first loss function decides; one of its own is taken for a cross-entropy.
    """
    counts = [count for count in evidence.data.counts if count]
    function = loss_function(evidence)
    if function in _OF_ONE_OUTPUT and evidence.classes:
        # Against one-hot targets, averaged over all outputs, of which each knows its class's frequency.
        total = sum(counts)
        shares = [count / total for count in counts] or [1 / evidence.classes] * evidence.classes
        return sum(map(_OF_ONE_OUTPUT[function], shares)) / evidence.classes
    if evidence.recipe.class_weights == "balanced":
        guess = math.log(len(counts)) if counts else 0.0
    else:
        guess = _entropy(counts)
    heads = sum(name.startswith("train/aux") for name in evidence.curves)
    return (guess or evidence.chance_loss) * (1 + heads * evidence.recipe.aux_weight)


def loss_function(evidence: Evidence) -> str:
    """Return the name in `torch.nn.functional` of the loss function; of a loop's own loss, `given`."""
    functions = evidence.loop.functions if evidence.loop is not None else ()
    return functions[0] if functions else "cross_entropy"


def _binary_entropy(share: float) -> float:
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


_OF_ONE_OUTPUT: Mapping[str, Callable[[float], float]] = {
    "binary_cross_entropy": _binary_entropy,
    "binary_cross_entropy_with_logits": _binary_entropy,
    "mse_loss": lambda share: share * (1 - share),
    "l1_loss": lambda share: min(share, 1 - share),
    "smooth_l1_loss": lambda share: share * (1 - share) / 2,
    "huber_loss": lambda share: share * (1 - share) / 2,
}
"""Losses of single outputs: the loss of an output that always gives the best constant for its class."""


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) if total else 0.0


def _learned(evidence: Evidence, end: float, chance: float) -> float:
    """Return the progress, the best of training and both held-out parts.

    Noisy training labels spoil validation images alike.
    """
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
    """Return the chance-corrected accuracy, where it is beyond luck; else nothing."""
    chance = evidence.chance
    if right is None or right - chance < LUCK * standard_error(chance, images):
        return []
    return [(right - chance) / max(1 - chance, 1e-9)]


def _newest_accuracy(evidence: Evidence) -> float | None:
    of_epoch = evidence.curve("train/epoch_accuracy").last
    of_batches = evidence.curve("train/accuracy").values
    return (
        of_epoch
        if of_epoch is not None
        else fmean(of_batches[-max(1, len(of_batches) // 10) :])
        if of_batches
        else None
    )


def _variance(values: Sequence[float]) -> float:
    mean = fmean(values)
    return fmean((value - mean) ** 2 for value in values)
