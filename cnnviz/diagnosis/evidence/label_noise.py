"""Label-noise estimate from the label agreement of nearest neighbors, without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence import Evidence, Neighbours, NeighboursOfTest
from cnnviz.diagnosis.evidence.learning_curves import ENOUGH, ERRORS, neighbors_agree, standard_error
from cnnviz.diagnosis.finding import Bars, Fact
from cnnviz.diagnosis.numbers import percent

MIN_WRONG = 0.2
"""Least fraction of wrong labels that is reported: with fewer, test images that happen to be easier look
alike. With none wrong, a thousand drawn, written or photographed images gave −0.13 to 0.09.
"""
EACH = 20
"""Least images per class. An image is not its own neighbor, so that of n images of its class a training
image can meet n − 1 and a test image n: with fewer, that alone makes a difference of a twentieth or more.
"""
UNLIKE = 0.15
"""Total variation between the class shares of both parts above which differences between classes explain the
result.
"""
APART = 0.05
"""Largest deviation from 1/2 of the fraction of test images that are nearer to a training image than the
training images' median: beyond that (and sampling error) the parts come from two sources, or share
images.
"""


@dataclass(frozen=True)
class Agreement:
    """Label agreement of neighbors: between two training images, and between a test and a training image.

    Let `a` be the excess over chance with which neighbors are of one class; chance is Σ p·p' of the class
    shares on either side. Let a fraction q of the training labels be wrong, each of the other C − 1 classes
    equally often. With r = 1 − q·C/(C − 1), a label is right with probability r, and otherwise any of the C
    classes (the right one included), which agrees with others at chance level. A test image with a right
    label then agrees with training images r·a above chance, as one label of each pair has to be right, and
    two training images r²·a, as both have to. Their ratio is r, whatever `a` is, and q = (1 − r)·(C − 1)/C.

    With wrong test labels too, right with probability r', the two are r·r'·a and r²·a, and the ratio is r/r':
    the estimate is less than q, zero where both parts are equally noisy, and negative where the test labels
    are worse. Systematically wrong labels (all ships called planes) agree with each other, so that they are
    underestimated too.
    """

    within: Neighbours
    """Between training images."""
    across: NeighboursOfTest
    """Between test images and the same training images."""
    classes: int

    @property
    def excess(self) -> tuple[float, float]:
        """Agreement above chance: between two training images, and between a test and a training image."""
        return self.within.share - self.within.chance, self.across.share - self.across.chance

    @property
    def errors(self) -> tuple[float, float]:
        """Binomial standard errors of both; an image's neighbors are correlated, so that half of them count.

        With labels changed at random in five data sets, 250 to 2,000 images, 60 to 150 times each, `wrong`
        deviated from the truth by 0.7 to 1.2 times the resulting error.
        """
        return standard_error(self.within.share, self.within.pairs), standard_error(
            self.across.share, self.across.pairs
        )

    @property
    def shuffled_fraction(self) -> float:
        """(C − 1)/C: the fraction of wrong labels where labels are shuffled."""
        return (self.classes - 1) / self.classes

    @property
    def ratio(self) -> float:
        """r: 1 where all labels are right, 0 where they are shuffled."""
        within, across = self.excess
        return within / max(across, 1e-9)

    @property
    def wrong(self) -> float:
        """q: fraction of wrong training labels beyond that of the test labels; may be negative."""
        return (1 - self.ratio) * self.shuffled_fraction

    @property
    def error(self) -> float:
        """Standard error of `wrong`, propagated from both excesses."""
        of_within, of_across = self.errors
        return (
            self.shuffled_fraction * math.hypot(of_within, self.ratio * of_across) / max(self.excess[1], 1e-9)
        )

    @property
    def found(self) -> bool:
        """Whether significantly more than `MIN_WRONG` are wrong, and labels still correlate with images."""
        (within, across), (of_within, of_across) = self.excess, self.errors
        return within > 0 and self._short(within, across, of_within, of_across)

    @property
    def worse_in_test(self) -> bool:
        """Whether the same holds for the test labels: the formula with both parts exchanged."""
        (within, across), (of_within, of_across) = self.excess, self.errors
        return self._short(across, within, of_across, of_within)

    @property
    def labels_informative(self) -> bool:
        """Whether training labels correlate with images at all: test labels agree beyond sampling error."""
        return neighbors_agree(self.across)

    @property
    def sound(self) -> bool:
        """Whether significantly fewer than `MIN_WRONG` are wrong."""
        return self.labels_informative and self.wrong + ERRORS * self.error < MIN_WRONG

    def _short(self, less: float, other: float, of_less: float, of_more: float) -> bool:
        """Return whether `less` is significantly below what `MIN_WRONG` wrong labels would leave of `more`.

        A difference has a known standard error even where the ratio has not, with both near 0.
        """
        left = 1 - MIN_WRONG / self.shuffled_fraction
        return left * other - less > ERRORS * math.hypot(of_less, left * of_more)


def agreement(evidence: Evidence) -> Agreement | None:
    """Return the label agreement of neighbors; None where it is unknown, or the parts are not comparable.

    They are not where test images are among the training images, where a part has other classes or another
    source, and with too few images of a class.
    """
    within, across, repeats = (
        evidence.quality.neighbours,
        evidence.quality.neighbours_of_test,
        evidence.quality.repeats,
    )
    if within is None or across is None or evidence.classes < 2 or (repeats and repeats.test):
        return None
    if min(within.images, across.images) < ENOUGH:
        return None
    if (
        within.images < EACH * evidence.classes
        or _class_share_distance(evidence) > UNLIKE
        or _different_sources(within, across)
    ):
        return None
    return Agreement(within, across, evidence.classes)


def _class_share_distance(evidence: Evidence) -> float:
    """Return the total variation Σ |p − p′|/2 of the class shares: 0 for equal parts, 1 for disjoint ones."""
    parts = evidence.data.counts, evidence.quality.test_counts
    if not (sum(parts[0]) and sum(parts[1])) or len(parts[0]) != len(parts[1]):
        return 1.0
    train, test = ([count / sum(part) for count in part] for part in parts)
    return sum(abs(train_share - test_share) for train_share, test_share in zip(train, test, strict=True)) / 2


def _different_sources(within: Neighbours, across: NeighboursOfTest) -> bool:
    # The median that they are compared with has a sampling error too.
    accident = ERRORS * math.hypot(standard_error(0.5, within.images), standard_error(0.5, across.images))
    return abs(across.nearer - 0.5) > max(APART, accident)


# Report of the estimate: sentences, numbers, figure.


def verdict(estimate: Agreement) -> str:
    """State the estimate and the agreement that it follows from."""
    return (
        f"About {percent(estimate.wrong)} of the training labels are wrong: of the training images most "
        "like a "
        f"test image {percent(estimate.across.share)} have its label, of those most like a training image "
        f"only {percent(estimate.within.share)}."
    )


def arithmetic(estimate: Agreement) -> str:
    """Explain the estimate in two paragraphs: what was counted, and what follows."""
    (within, across), (of_train, of_test) = estimate.excess, (estimate.within, estimate.across)
    others, classes = estimate.classes - 1, estimate.classes
    return (
        "Images say so by themselves, whatever a network makes of them. Of the "
        f"{of_test.each} training images most like a test image {percent(of_test.share, 1)} have its label, "
        f"{100 * across:.1f} points more than chance ({percent(of_test.chance, 1)}); of those most like "
        f"another training image {percent(of_train.share, 1)}, {100 * within:.1f} points more than chance "
        f"({percent(of_train.chance, 1)}). Images are as much alike in both: {percent(of_test.nearer)} of "
        "the test "
        "images have a nearer neighbor than half of the training images have. But in the first pairs one "
        "label is a training label, in the second both are."
        f"\n\nIf a part q of the training labels is wrong, each of the other {others} classes as often as "
        f"any, that is as if 1 − r = q · {classes} / {others} of them were dealt out at random. A pair "
        "agrees "
        "beyond chance only where no label in it was dealt out: r times as often as with right labels if one "
        "is a training label, r² times if both are. So r is the ratio of what was counted, "
        f"{within:.3f} / {across:.3f} = {estimate.ratio:.2f}, and q = (1 − {estimate.ratio:.2f}) · {others} "
        f"/ {classes} = {estimate.wrong:.2f}, with a standard error of {estimate.error:.2f}. If test labels "
        "are wrong too, it is more."
    )


def facts(estimate: Agreement) -> tuple[Fact, ...]:
    """Return both agreements and the estimate."""
    of_train, of_test = estimate.within, estimate.across
    return (
        Fact("neighbors of a test image with its label", of_test.share, f"{percent(of_test.share, 1)}"),
        Fact("neighbors of a training image with its label", of_train.share, f"{percent(of_train.share, 1)}"),
        Fact(
            "wrong labels by neighbors",
            estimate.wrong,
            f"{percent(estimate.wrong)} ± {percent(estimate.error)}",
        ),
    )


def agreement_figure(estimate: Agreement) -> Bars:
    """Plot both agreements against chance."""
    names, both = ("of a test image", "of a training image"), (estimate.across, estimate.within)
    pairs = zip(names, both, strict=True)
    return Bars(
        title="How many of the training images most like an image have its label",
        names=names,
        values={
            "found": tuple(agreement.share for agreement in both),
            "by chance": tuple(agreement.chance for agreement in both),
        },
        y_label="part of the neighbors",
        alt="Neighbors with the same label: "
        + "; ".join(
            f"{name} {percent(agreement.share)}, by chance {percent(agreement.chance)}"
            for name, agreement in pairs
        )
        + ".",
        percent=True,
    )


def sound(estimate: Agreement) -> str:
    """Explain why training labels are ruled out as a cause."""
    return (
        f"Neighbors among the training images share a label {percent(estimate.within.share)} of the time, "
        f"test images and their neighbors {percent(estimate.across.share)}: fewer than {percent(MIN_WRONG)} "
        "of the training labels are wrong at random, unless test labels are too."
    )


def worse_in_test(estimate: Agreement) -> str:
    """Explain why test accuracy is not reliable."""
    return (
        f"Neighbors among the training images share a label {percent(estimate.within.share)} of the time, "
        "but "
        f"test images and their neighbors only {percent(estimate.across.share)}, though they are as much "
        "alike: "
        "more of the test labels are wrong than of the training labels, so that figures on test images say "
        "little."
    )
