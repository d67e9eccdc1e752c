"""Generalization: accuracy on training and held-out images, their gap, test images from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cnnviz.diagnosis.evidence import Evidence, Points
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    AccuracySummary,
    chance_loss,
    has_risen,
    held_out_accuracy,
    standard_error,
    typical_value,
)
from cnnviz.diagnosis.finding import Fact
from cnnviz.diagnosis.numbers import percent

# Accuracies of a run: on held-out and on training images, and above chance.


@dataclass(frozen=True)
class HeldOut:
    """Accuracy on validation and test images together, a larger sample than either."""

    accuracy: float
    images: int
    constant: float
    """Accuracy of always predicting the most common training class."""

    @property
    def error(self) -> float:
        """Standard error of the accuracy, chance-corrected."""
        return standard_error(self.accuracy, self.images) / max(1 - self.constant, 1e-9)

    @property
    def above(self) -> float:
        """Chance-corrected accuracy: 0 for a constant prediction, 1 for perfect accuracy."""
        return chance_corrected(self.accuracy, self.constant)

    @property
    def by_chance(self) -> bool:
        """Whether it is within three standard errors of a constant prediction."""
        tolerance = max(
            standard_error(self.accuracy, self.images), standard_error(self.constant, self.images)
        )
        return self.accuracy < self.constant + ERRORS * tolerance


def held_out(evidence: Evidence) -> HeldOut | None:
    """Return the accuracy on validation and test images together; None before the first epoch's end.

    Where test images are among the training images, only validation images count.
    """
    repeated = evidence.quality.repeats
    parts = [("val", evidence.data.validation), ("test", evidence.data.test)]
    if repeated and repeated.test and evidence.curve("val/accuracy").steps:
        parts = parts[:1]
    measured = [(evidence.curve(f"{part}/accuracy").last, images) for part, images in parts]
    counted = [(share, images) for share, images in measured if share is not None and images]
    if not counted:
        return None
    total = sum(images for _, images in counted)
    return HeldOut(
        sum(share * images for share, images in counted) / total, total, constant_accuracy(evidence)
    )


def learned_accuracy(evidence: Evidence) -> float | None:
    """Return the training accuracy: during training, or evaluated without dropout and augmentation.

    The higher of the two.
    """
    learned = evidence.curve("train/epoch_accuracy").last
    plain = evidence.train_evaluated
    accuracies = [share for share in (learned, plain.accuracy if plain else None) if share is not None]
    return max(accuracies, default=None)


def constant_accuracy(evidence: Evidence) -> float:
    """Return the test accuracy of always predicting the most common training class.

    Where the test images' counts are not known, it is the class's share of the training images.
    """
    counts, tested = evidence.data.counts, evidence.quality.test_counts
    if not sum(counts) or len(counts) != len(tested) or not sum(tested):
        return evidence.chance
    shares = [n for n, count in zip(tested, counts, strict=True) if count == max(counts)]
    # With balanced classes, the luckiest constant prediction is no better than chance.
    return max(shares) / sum(tested) if len(shares) < len(counts) else 1 / max(len(counts), 1)


def chance_corrected(accuracy: float, chance: float) -> float:
    """Return the chance-corrected accuracy: 0 at chance level, 1 for perfect."""
    return (accuracy - chance) / max(1 - chance, 1e-9)


# The gap between them.

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


FIRST_PASS = 0.15
"""Chance-corrected accuracy in the first epoch that shows that labels belong to images."""
FIRST_PASS_ERRORS = 4.0
"""The same, in standard errors beyond chance."""
KNEW = 0.7
"""First loss, relative to chance level, below which a network has seen such images: fresh weights, also those
of a new head, begin at or above it.
"""


def first_pass_accuracy(evidence: Evidence) -> float | None:
    """Return the training accuracy of a watched run's first epoch; None where it shows nothing.

    Each image is new to the network then. So labels that have nothing to do with images are met by chance
    only; and a network that has learned on since knows as many of other images of the same kind, at least.
    Not so where training goes on from weights that were trained on these images before.
    """
    accuracy, loop = evidence.curve("train/epoch_accuracy"), evidence.loop
    if loop is None or len(accuracy) < 2 or loop.repeated_in_a_row > 0 or not all(evidence.data.counts):
        return None
    loss = evidence.curve("train/loss")
    if loss.steps[:1] == (1,) and loss.values[0] < KNEW * chance_loss(evidence):
        return None
    beyond = accuracy.values[0] - evidence.chance
    error = standard_error(evidence.chance, max(1, evidence.data.train))
    seen = chance_corrected(accuracy.values[0], evidence.chance) > FIRST_PASS
    return accuracy.values[0] if seen and beyond > FIRST_PASS_ERRORS * error else None


# Input shift: test images from another distribution than the training images.
#
# Four signs, each against its own sampling error: the run is far better on validation than on test images;
# the untrained patch classifier is too; test images are farther from the training images than these are from
# each other; or their neighbors have other labels. Validation images come from the training images, so that
# overfitting does not affect the first two. One sign alone is not enough.

MIN_GAP = 0.15
"""Least difference between validation and test accuracy: less is ordinary between data sets collected
separately.
"""
STANDARD_ERRORS = 3.5
"""Standard errors of the difference: a false alarm in 2,000, as every finished run is tested."""
MIN_IMAGES = 20
"""Least images of a part."""
MAX_SHARE_DISTANCE = 0.15
"""Total variation between the class shares of both parts above which the classes differ, and not the images.
"""
FAR = 0.3
"""Fraction of the test images with a neighbor as near as the training images' median; 1/2 is expected."""
OTHER_LABELS = 0.5
"""Largest ratio of label agreement beyond chance, of test images' to training images' neighbors."""
COPIES = 0.1
"""Fraction of the validation images among the training images above which they are no reference."""


@dataclass(frozen=True)
class InputShift:
    """Evidence that test images come from another distribution."""

    signs: tuple[str, ...]
    """Sentences with the numbers, the strongest first."""
    facts: tuple[Fact, ...]
    accuracies: Mapping[str, tuple[float, float]]
    """Validation and test accuracy, by classifier."""
    lost: float
    """Accuracy lost on test images, by the run, or if it knows neither part by the patch classifier."""
    instead_of_over_fitting: bool
    """Whether validation accuracy is about as high as training accuracy."""
    ruled_out: tuple[str, ...]


def input_shift(evidence: Evidence) -> InputShift | None:
    """Compare validation and test images; None for fewer than two signs of a shift."""
    repeats, data = evidence.quality.repeats, evidence.data
    copied = repeats.validation / data.validation if repeats and data.validation else 0.0
    if _class_share_distance(evidence) > MAX_SHARE_DISTANCE or copied > COPIES:
        return None
    accuracies: dict[str, tuple[float, float]] = {}
    signs: list[str] = []
    facts: list[Fact] = []
    run, patches = _run_accuracies(evidence), _patch_classifier_accuracies(evidence)
    lost = [validation - test for validation, test, *_ in (run, patches) if validation > test]
    for name, pair in (("the network", run), ("a classifier without training", patches)):
        validation, test, images, test_images = pair
        if not images or not test_images:
            continue
        accuracies[name] = (validation, test)
        error_of_difference = math.hypot(
            standard_error(validation, images), standard_error(test, test_images)
        )
        if validation - test > max(MIN_GAP, STANDARD_ERRORS * error_of_difference):
            signs.append(
                f"{name[:1].upper()}{name[1:]} knows {percent(validation, 1)} of {images:,} validation "
                f"images and {percent(test, 1)} of {test_images:,} test images (standard error of the "
                f"difference: {100 * error_of_difference:.1f} points)."
            )
            label = f"validation less test, {name}"
            gap = validation - test
            facts.append(Fact(label, gap, f"{100 * gap:.1f} points"))
    of_accuracy = len(signs)
    for sign, fact in _neighbor_signs(evidence):
        signs.append(sign)
        facts.append(fact)
    if len(signs) < 2 or not of_accuracy:
        return None
    gap = _generalization_gap(evidence, run)
    return InputShift(
        tuple(signs),
        tuple(facts),
        accuracies,
        max(lost, default=0.0),
        instead_of_over_fitting=gap < MIN_GAP,
        ruled_out=(
            f"Over-fitting: validation images are known to {percent(run[0], 1)}, about as well as training "
            "images.",
        )
        if gap < MIN_GAP
        else (),
    )


AccuracyPair = tuple[float, float, int, int]
"""Validation and test accuracy, and their numbers of images; zeros where not measured."""


def _run_accuracies(evidence: Evidence) -> AccuracyPair:
    validation, test = (
        typical_value(evidence, evidence.curve(f"{part}/accuracy")) for part in ("val", "test")
    )
    data = evidence.data
    if validation is None or test is None or min(data.validation, data.test) < MIN_IMAGES:
        return 0.0, 0.0, 0, 0
    return validation, test, data.validation, data.test


def _patch_classifier_accuracies(evidence: Evidence) -> AccuracyPair:
    baseline = evidence.baseline
    if baseline is None or baseline.validation is None or baseline.test is None:
        return 0.0, 0.0, 0, 0
    validation, test = baseline.validation, baseline.test
    if min(validation.images, test.images) < MIN_IMAGES:
        return 0.0, 0.0, 0, 0
    return validation.accuracy, test.accuracy, validation.images, test.images


def _generalization_gap(evidence: Evidence, run: AccuracyPair) -> float:
    """Return training minus validation accuracy; infinite where unknown."""
    learned = typical_value(evidence, evidence.curve("train/epoch_accuracy"))
    return (
        math.inf if learned is None or not run[2] else learned - run[0] - 2 * standard_error(run[0], run[2])
    )


def _neighbor_signs(evidence: Evidence) -> list[tuple[str, Fact]]:
    train, test = evidence.quality.neighbours, evidence.quality.neighbours_of_test
    if train is None or test is None or min(train.images, test.images) < MIN_IMAGES:
        return []
    result = []
    if test.nearer + STANDARD_ERRORS * standard_error(0.5, test.images) < 0.5 and test.nearer < FAR:
        result.append(
            (
                f"Only {percent(test.nearer)} of {test.images:,} test images have a training image as near "
                "as half of the training images have.",
                Fact(
                    "test images with a near neighbor", test.nearer, f"{percent(test.nearer)} (50% expected)"
                ),
            )
        )
    error_of_difference = math.hypot(
        standard_error(test.share, test.pairs), standard_error(train.share, train.pairs)
    )
    if (
        train.share - test.share > STANDARD_ERRORS * error_of_difference
        and test.excess < OTHER_LABELS * train.excess
    ):
        result.append(
            (
                f"The training images most like a test image have its label {percent(test.share)} of the "
                f"time; among training images it is {percent(train.share)}.",
                Fact("neighbors of test images with their label", test.share, f"{percent(test.share)}"),
            )
        )
    return result


def _class_share_distance(evidence: Evidence) -> float:
    """Return the total variation between the class shares of both parts; 1 where they are unknown."""
    train, test = evidence.data.counts, evidence.quality.test_counts
    if not sum(train) or not sum(test) or len(train) != len(test):
        return 1.0
    pairs = zip(train, test, strict=True)
    return (
        sum(abs(train_count / sum(train) - test_count / sum(test)) for train_count, test_count in pairs) / 2
    )
