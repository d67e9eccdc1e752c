"""Rules on class frequencies: classes without training images, class imbalance."""

from __future__ import annotations

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.steps import FEW

UNEQUAL = 10.0
"""Ratio of the most to the least common class from which rare classes usually suffer (Buda et al., "A
systematic study of the class imbalance problem", 2018); real data with less is commonly left as it is.
"""
SUFFERS = 0.2
"""Difference of recall between common and rare classes."""
LEARNT = 0.3
"""Recall of common classes below which the run failed for another reason, so that imbalance is reported with
less confidence.
"""
MIN_RECALL_RATIO = 0.5
"""Recall of rare classes, relative to common ones, below which weights in the loss have not helped."""
BALANCED = Change(
    {"class_weights": "balanced"},
    "Each class has the same part in the loss, however many images it has (scikit-learn's rule).",
)


@rule(
    "classes-missing",
    title="Classes without training images",
    summary="Of some classes there is nothing to learn from, but they are asked for.",
    live=True,
)
def missing(evidence: Evidence) -> Outcome:
    """Detect classes without training images."""
    counts, classes = evidence.data.counts, evidence.data.classes
    if not counts:
        return Inconclusive("The run did not record how many images there are of each class.")
    absent = tuple(number for number, count in enumerate(counts) if not count)
    if not absent:
        fewest = min(range(len(counts)), key=counts.__getitem__)
        return Negative(
            f"Every class has training images, the fewest '{classes[fewest]}' with {counts[fewest]:,}."
        )
    names = tuple(classes[number] for number in absent)
    tested, total = [_tested(evidence)[number] for number in absent], max(sum(_tested(evidence)), 1)
    share = sum(tested) / total
    listed = ", ".join(f"'{name}'" for name in names[:5]) + (f" and {len(names) - 5} more" * (len(names) > 5))
    is_limited = evidence.recipe.limit is not None and evidence.recipe.limit < len(classes)
    return Finding(
        cause="classes-missing",
        confidence=0.99 if share else 0.7,
        effect=max(0.15, min(1.0, 2 * share)),
        verdict=(
            f"There are no training images of {listed}"
            + (f", but {percent(share)} of the test images show them." if share else ".")
        ),
        explanation=(
            "A class that never occurs in training is never the right answer there: in every step its "
            f"output is pushed down, for every image. So it is never given later.\n\nOf {total:,} test "
            f"images {sum(tested):,} show such a class: at most 1 − {sum(tested):,} / {total:,} = "
            f"{percent(1 - share, 1)} can be right, whatever the network and however long it learns. "
            + (
                f"'limit' leaves {evidence.recipe.limit} images for {len(classes)} classes."
                if is_limited
                else "Only the data can fix it: look for folders that are empty or misspelled, or a split "
                "that was not made class by class."
            )
        ),
        facts=(
            Fact("classes without training images", len(absent), f"{len(absent)} of {len(classes)}"),
            Fact("test images that show them", share, f"{percent(share, 1)}"),
        ),
        pictures=(_counts(evidence, names),),
        changes=(Change({"limit": None}, "Take all training images."),) if is_limited else (),
        ruled_out=_others(evidence, absent),
        explains=("classes-unbalanced", "one-class"),
    )


@rule(
    "classes-unbalanced",
    title="Class imbalance",
    summary="Rare classes are given up for common ones.",
)
def unbalanced(evidence: Evidence) -> Outcome:
    """Detect class imbalance of ten to one or more with far lower recall of the rare classes."""
    counts = evidence.data.counts
    present = [number for number, count in enumerate(counts) if count]
    if len(present) < 2:
        return Inconclusive("Fewer than two classes have training images.")
    most, fewest = max(counts), min(counts[number] for number in present)
    ratio = most / fewest
    if ratio < UNEQUAL:
        return Negative(f"The commonest class has {ratio:.1f} times as many images as the rarest.")
    # Rare: at most a fifth of the most common class's images; common: at least half of them.
    rare = [number for number in present if counts[number] <= most / 5]
    common = [number for number in present if counts[number] >= most / 2]
    recalls = _recalls(evidence)
    group_recalls = [recalls.get(number) for number in (*rare, *common)]
    if not recalls or None in group_recalls:
        return Inconclusive(
            f"The commonest class has {ratio:.0f} times the images of the rarest; no test image was judged."
        )
    of_rare, of_common = (sum(recalls[number] for number in group) / len(group) for group in (rare, common))
    if of_common - of_rare < SUFFERS and of_common >= LEARNT:
        return Negative(
            f"The commonest class has {ratio:.0f} times the images of the rarest, but rare classes are "
            f"recognized as well ({percent(of_rare)}, common ones {percent(of_common)})."
        )
    if evidence.loop is not None and evidence.loop.is_weighted and of_rare >= MIN_RECALL_RATIO * of_common:
        return Negative(
            f"The commonest class has {ratio:.0f} times the images of the rarest, but classes have weights "
            f"in the loss, and rare ones are not given up: {percent(of_rare)} are recognized, of common "
            f"ones {percent(of_common)}."
        )
    return _finding(evidence, ratio, (rare, common), (of_rare, of_common))


def _finding(
    evidence: Evidence, ratio: float, groups: tuple[list[int], list[int]], recalls: tuple[float, float]
) -> Finding:
    counts, (rare, common), (of_rare, of_common) = evidence.data.counts, groups, recalls
    share = sum(counts[number] for number in common) / sum(counts)
    return Finding(
        cause="classes-unbalanced",
        confidence=0.95 if of_common - of_rare >= SUFFERS else 0.6,
        effect=min(1.0, max(0.2, of_common - of_rare)),
        verdict=(
            f"Classes are unbalanced, {ratio:,.0f} to 1: of common ones {percent(of_common)} are recognized, "
            f"of rare ones {percent(of_rare)}."
        ),
        explanation=(
            f"{len(common)} of {evidence.classes} classes have {percent(share)} of the training images. The "
            "loss is a mean over images, so a class counts as much as it is common: who gives only those "
            f"{len(common)} as answers is right {percent(share)} of the time in training without knowing any "
            f"other. A batch of {evidence.recipe.batch_size} has "
            f"{evidence.recipe.batch_size * min(counts[n] for n in rare) / sum(counts):.2f} images of the "
            f"rarest class on average.\n\n{_weighed(evidence)} What helps most is other data: collect "
            f"more of the rare classes, or repeat their images until there are as many ({ratio:,.0f} "
            "times), or take fewer of the common ones. And look at what is recognized of each class: "
            "accuracy over all images hides it where the test images are as unbalanced."
        ),
        facts=(
            Fact("commonest to rarest class", ratio, f"{ratio:,.1f} to 1"),
            Fact("recognized of common classes", of_common, f"{percent(of_common, 1)}"),
            Fact("recognized of rare classes", of_rare, f"{percent(of_rare, 1)}"),
        ),
        pictures=(
            _counts(evidence, tuple(evidence.data.classes[number] for number in rare)),
            _by_class(evidence, rare),
        ),
        ruled_out=(f"A network that does not learn: of common classes it recognizes {percent(of_common)}.",)
        if of_common >= LEARNT
        else (),
        changes=() if evidence.recipe.class_weights == "balanced" else (BALANCED,),
        explains=(
            "one-class",
            "over-fitting-data",
            "over-fitting-augmentation",
            "over-fitting-model",
            *(("too-few-steps",) if _fewer_steps(evidence) else ()),
        ),
    )


def _weighed(evidence: Evidence) -> str:
    """Explain what class weights do here, or would do."""
    if evidence.recipe.class_weights == "balanced":
        return (
            "Class weights are balanced already: rare images count more, but they are still few, and are "
            "memorized first."
        )
    return (
        "Balanced class weights let an image count the more the rarer its class is, so that each class has "
        "the same part in the loss."
    )


def _fewer_steps(evidence: Evidence) -> bool:
    """Return whether the epochs would be steps enough if every class were as common as the most common."""
    counts = [count for count in evidence.data.counts if count]
    return evidence.step * max(counts) * len(counts) / sum(counts) > FEW


def _others(evidence: Evidence, absent: tuple[int, ...]) -> tuple[str, ...]:
    recalls = [share for number, share in _recalls(evidence).items() if number not in absent]
    if not recalls:
        return ()
    mean = sum(recalls) / len(recalls)
    if mean < LEARNT:
        return ()
    return (f"A network that does not learn: of the other classes it recognizes {percent(mean)}.",)


def _tested(evidence: Evidence) -> list[int]:
    """Return the number of test images by class."""
    counted = list(evidence.quality.test_counts) or [sum(row) for row in evidence.confusion]
    return counted or [0] * evidence.classes


def _recalls(evidence: Evidence) -> dict[int, float]:
    """Return the recall of each class that has test images."""
    return {number: row[number] / sum(row) for number, row in enumerate(evidence.confusion) if sum(row)}


def _counts(evidence: Evidence, marked: tuple[str, ...]) -> Bars:
    return Bars(
        title="Images of each class",
        names=evidence.data.classes,
        values={
            "training": tuple(map(float, evidence.data.counts)),
            "test": tuple(map(float, _tested(evidence))),
        },
        y_label="images",
        marked=marked,
        alt=f"From {min(evidence.data.counts):,} to {max(evidence.data.counts):,} training images.",
    )


def _by_class(evidence: Evidence, rare: list[int]) -> Bars:
    recalls = _recalls(evidence)
    return Bars(
        title="Recognized of each class",
        names=evidence.data.classes,
        values={"recognized": tuple(recalls.get(number) for number in range(evidence.classes))},
        y_label="part of its test images",
        marked=tuple(evidence.data.classes[number] for number in rare),
        alt="; ".join(
            f"{evidence.data.classes[n]} {percent(recalls.get(n, 0))}" for n in range(evidence.classes)
        )
        + ".",
        percent=True,
    )
