"""How many training labels are wrong, by what neighbours are called: no network has a part in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.diagnosis.evidence.evidence import Evidence, Neighbours, NeighboursOfTest
from cnnviz.diagnosis.evidence.learning_curves import ENOUGH, ERRORS, error, share_labels
from cnnviz.diagnosis.finding import Bars, Fact
from cnnviz.diagnosis.numbers import percent

LEAST = 0.2
"""Of the labels: where fewer are wrong, test images that happen to be easier look alike. With none wrong,
a thousand drawn, written or photographed images gave -0.13 to 0.09."""
EACH = 20
"""Images of a class that are compared at least. An image is not its own neighbour, so that of n images of its
class a training image can meet n - 1 and a test image n: with fewer that alone is a twentieth or more."""
UNLIKE = 0.15
"""Of the images, how many would have to change their class for both parts to have the same shares of each:
beyond that, classes whose neighbours agree more or less often tell of themselves."""
APART = 0.05
"""From 1/2, the part of the test images that are nearer to a training image than half of these are to each
other: beyond that (and beyond accident) the parts are of two sources, or share images."""


@dataclass(frozen=True)
class Agreement:
    """How often neighbours have one label: two training images, and a test and a training image.

    Let `a` be how much oftener than chance neighbours are of one class; chance is Σ p·p' of the classes'
    shares on either side. Of the training labels let a part q be wrong, each of the other C - 1 classes as
    often as any. So with r = 1 - q·C/(C - 1) a label is the right one with probability r, and otherwise any
    of the C (the right one among them), which agrees with others as often as chance has it. Then a test
    image, rightly labelled, agrees with training images r·a oftener than chance, as one label of each pair
    has to be a right one, and two training images r²·a, as both have. Their ratio is r, whatever `a` is, and
    q = (1 - r)·(C - 1)/C.

    Where test labels are wrong too, right with r', the two are r·r'·a and r²·a, and the ratio is r/r': what
    comes out is less than q, nothing where both parts are wrong alike, and below 0 where the test labels are
    worse. Labels wrong by a pattern (all ships called planes) agree with each other, so that less than q
    comes out too.
    """

    within: Neighbours
    """Of training images."""
    across: NeighboursOfTest
    """Of test images, among the same training images."""
    classes: int

    @property
    def excess(self) -> tuple[float, float]:
        """How much oftener than chance labels agree: of two training images, of a test and a training one."""
        return self.within.share - self.within.chance, self.across.share - self.across.chance

    @property
    def errors(self) -> tuple[float, float]:
        """Standard errors of both, binomial; an image's neighbours are alike, so that half of them count.

        With labels changed at random in five data sets, 250 to 2,000 images, 60 to 150 times each, `wrong`
        strayed from the truth by 0.7 to 1.2 times the error that follows.
        """
        return error(self.within.share, self.within.pairs), error(self.across.share, self.across.pairs)

    @property
    def all_or_none(self) -> float:
        """(C - 1)/C: the part that is wrong where labels are dealt out anew."""
        return (self.classes - 1) / self.classes

    @property
    def ratio(self) -> float:
        """r: 1 where labels are right, 0 where they are dealt out at random."""
        within, across = self.excess
        return within / max(across, 1e-9)

    @property
    def wrong(self) -> float:
        """q: of the training labels, how many more are wrong than of the test labels. Below 0 if fewer."""
        return (1 - self.ratio) * self.all_or_none

    @property
    def error(self) -> float:
        """Standard error of `wrong`, from those of both excesses."""
        of_within, of_across = self.errors
        return self.all_or_none * math.hypot(of_within, self.ratio * of_across) / max(self.excess[1], 1e-9)

    @property
    def found(self) -> bool:
        """Whether more than `LEAST` are wrong, beyond accident, and labels still belong to images."""
        (within, across), (of_within, of_across) = self.excess, self.errors
        return within > 0 and self._short(within, across, of_within, of_across)

    @property
    def worse_in_test(self) -> bool:
        """Whether the same is to be said of the test labels: the formula, with both parts changed over."""
        (within, across), (of_within, of_across) = self.excess, self.errors
        return self._short(across, within, of_across, of_within)

    @property
    def tied(self) -> bool:
        """Whether training labels have to do with images at all: test labels agree beyond accident."""
        return share_labels(self.across)

    @property
    def sound(self) -> bool:
        """Whether it is known that fewer than `LEAST` are wrong."""
        return self.tied and self.wrong + ERRORS * self.error < LEAST

    def _short(self, less: float, more: float, of_less: float, of_more: float) -> bool:
        """Whether `less` falls short of what is left of `more` where `LEAST` are wrong, beyond accident.

        Of a difference the error is known even where that of the ratio is not, with both near 0.
        """
        left = 1 - LEAST / self.all_or_none
        return left * more - less > ERRORS * math.hypot(of_less, left * of_more)


def agreement(evidence: Evidence) -> Agreement | None:
    """Return the label agreement of neighbours; None where it is unknown, or where the parts do not compare.

    They do not where test images were learnt from, where a part is of other classes or another source, and
    where there are too few images of a class.
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
    if within.images < EACH * evidence.classes or _unlike(evidence) > UNLIKE or _apart(within, across):
        return None
    return Agreement(within, across, evidence.classes)


def _unlike(evidence: Evidence) -> float:
    """Half of Σ |p − p′| over the classes: 0 where parts are alike, 1 with no class in common."""
    parts = evidence.data.counts, evidence.quality.test_counts
    if not (sum(parts[0]) and sum(parts[1])) or len(parts[0]) != len(parts[1]):
        return 1.0
    train, test = ([count / sum(part) for count in part] for part in parts)
    return sum(abs(one - other) for one, other in zip(train, test, strict=True)) / 2


def _apart(within: Neighbours, across: NeighboursOfTest) -> bool:
    # The median that they are compared with is one of a sample, too.
    accident = ERRORS * math.hypot(error(0.5, within.images), error(0.5, across.images))
    return abs(across.nearer - 0.5) > max(APART, accident)


# What neighbours say of the labels, in sentences, numbers and a picture.


def verdict(near: Agreement) -> str:
    """How many are wrong, and how that is seen."""
    return (
        f"About {percent(near.wrong)} of the training labels are wrong: of the training images most like a "
        f"test image {percent(near.across.share)} have its label, of those most like a training image only "
        f"{percent(near.within.share)}."
    )


def arithmetic(near: Agreement) -> str:
    """Two paragraphs: what was counted, and what follows."""
    (within, across), (one, other) = near.excess, (near.within, near.across)
    rest, classes = near.classes - 1, near.classes
    return (
        "Images say so by themselves, whatever a network makes of them. Of the "
        f"{other.each} training images most like a test image {percent(other.share, 1)} have its label, "
        f"{100 * across:.1f} points more than chance ({percent(other.chance, 1)}); of those most like "
        f"another training image {percent(one.share, 1)}, {100 * within:.1f} points more than chance "
        f"({percent(one.chance, 1)}). Images are as much alike in both: {percent(other.nearer)} of the test "
        "images have a nearer neighbour than half of the training images have. But in the first pairs one "
        "label is a training label, in the second both are."
        f"\n\nIf a part q of the training labels is wrong, each of the other {rest} classes as often as "
        f"any, that is as if 1 − r = q · {classes} / {rest} of them were dealt out at random. A pair agrees "
        "beyond chance only where no label in it was dealt out: r times as often as with right labels if one "
        "is a training label, r² times if both are. So r is the ratio of what was counted, "
        f"{within:.3f} / {across:.3f} = {near.ratio:.2f}, and q = (1 − {near.ratio:.2f}) · {rest} / "
        f"{classes} = {near.wrong:.2f}, with a standard error of {near.error:.2f}. If test labels are wrong "
        "too, it is more."
    )


def facts(near: Agreement) -> tuple[Fact, ...]:
    """Both shares, and what they come to."""
    one, other = near.within, near.across
    return (
        Fact("neighbours of a test image with its label", other.share, f"{percent(other.share, 1)}"),
        Fact("neighbours of a training image with its label", one.share, f"{percent(one.share, 1)}"),
        Fact("wrong labels by neighbours", near.wrong, f"{percent(near.wrong)} ± {percent(near.error)}"),
    )


def agreement_figure(near: Agreement) -> Bars:
    """Both shares, beside chance."""
    names, both = ("of a test image", "of a training image"), (near.across, near.within)
    pairs = zip(names, both, strict=True)
    return Bars(
        title="How many of the training images most like an image have its label",
        names=names,
        values={"found": tuple(one.share for one in both), "by chance": tuple(one.chance for one in both)},
        y_label="part of the neighbours",
        alt="Neighbours with the same label: "
        + "; ".join(f"{name} {percent(one.share)}, by chance {percent(one.chance)}" for name, one in pairs)
        + ".",
        percent=True,
    )


def sound(near: Agreement) -> str:
    """Why training labels are cleared."""
    return (
        f"Neighbours among the training images share a label {percent(near.within.share)} of the time, test "
        f"images and their neighbours {percent(near.across.share)}: fewer than {percent(LEAST)} of the "
        "training labels are wrong at random, unless test labels are too."
    )


def worse_in_test(near: Agreement) -> str:
    """Why test images are no witnesses."""
    return (
        f"Neighbours among the training images share a label {percent(near.within.share)} of the time, but "
        f"test images and their neighbours only {percent(near.across.share)}, though they are as much alike: "
        "more of the test labels are wrong than of the training labels, so that figures on test images say "
        "little."
    )
