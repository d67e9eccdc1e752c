"""What neighbours say of the labels, in sentences, numbers and a picture."""

from __future__ import annotations

from cnnviz.diagnosis.agreement import LEAST, Agreement
from cnnviz.diagnosis.finding import Bars, Fact
from cnnviz.diagnosis.numbers import percent


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


def picture(near: Agreement) -> Bars:
    """Both shares, beside chance."""
    names, both = ("of a test image", "of a training image"), (near.across, near.within)
    told = zip(names, both, strict=True)
    return Bars(
        title="How many of the training images most like an image have its label",
        names=names,
        values={"found": tuple(one.share for one in both), "by chance": tuple(one.chance for one in both)},
        y_label="part of the neighbours",
        alt="Neighbours with the same label: "
        + "; ".join(f"{name} {percent(one.share)}, by chance {percent(one.chance)}" for name, one in told)
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
