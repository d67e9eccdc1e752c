"""Rule on label noise: random or systematic errors in part of the labels."""

from __future__ import annotations

import math
from typing import Any

from cnnviz.diagnosis.alternative_networks import dropout_rates, uses_augmentation
from cnnviz.diagnosis.evidence import Evidence, label_noise
from cnnviz.diagnosis.evidence.label_noise import Agreement, agreement
from cnnviz.diagnosis.evidence.learning_curves import (
    ENOUGH,
    ERRORS,
    AccuracySummary,
    above_chance_on_test,
    accuracy_summary,
    loss_figure,
    neighbors_agree,
    standard_error,
    summarize_loss,
)
from cnnviz.diagnosis.evidence.step_size import has_batch_norm
from cnnviz.diagnosis.finding import Bars, Fact, Finding, Images, Picture
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.steps import too_few_steps

TOO_GOOD = 0.05
"""Excess of test over validation accuracy. Both come from one source, and differ by a point or two where
both are labeled alike.
"""
SWAPPED = 0.1
"""Least fraction of systematically wrong labels: fewer do little harm."""
ONE_SIDED = 0.1
"""Asymmetry of the confusion between neighbors of two classes."""
COMMONER = 1.5
"""Ratio of training images of the other class above which more of them are near for that reason alone."""
MIN_IMAGES = 15
"""Least test images of a class."""
MIN_WRONG = 0.1
"""Least fraction of wrong labels: fewer are not told from a test part that happens to be easier."""
LATELY = 3
"""Last epochs in each of which a difference has to be significant: a single one may be bad by chance."""
SURE = 30
"""Least number of predictions in the most confident fifth."""
LITTLE = 0.2
"""Dropout rate up to which training accuracy is hardly lowered."""
LIFT, KNOWN = 0.2, 0.4
"""Chance-corrected excess of the most confident fifth's accuracy, and the least accuracy of all for it to be
conclusive. Where images are hard, confidence is informative: on CIFAR-10 with 40 % accuracy the excess is
0.3 to 0.5. Wrong labels affect confident and unconfident predictions alike, and with half of them wrong
it was 0.03 (after Northcutt et al., "Confident learning", 2021).
"""
_NO_USE = (
    "Wrong labels cannot be learned from what images show, only image by image; what is learned so is of no "
    "use for others, and gradients of wrong and right labels pull against each other. No setting of the "
    "recipe makes labels right: fix them in the data. A good place to begin is where the network is sure of "
    "another class; fewer epochs lose less until then, because what images share is learned first (Arpit et "
    "al., “A closer look at memorization in deep networks”, 2017)."
)


@rule(
    "labels-noisy",
    title="Label noise",
    summary="A part of the labels is wrong: it cannot be learned, only memorized.",
)
def noisy(evidence: Evidence) -> Outcome:
    """Detect label noise: test above validation accuracy, or confident predictions with other labels.

    And from images alone, where neighbors agree less often among training images than with test images.
    """
    now, neighbors = accuracy_summary(evidence), agreement(evidence)
    if now is None:
        return Inconclusive("No epoch has ended yet, so no answers can be compared with labels.")
    # Validation images with wrong labels may be at chance level while test images are not.
    guessed = now.at_chance and not above_chance_on_test(evidence)
    # After too few steps predictions reflect chance and class frequencies, not labels.
    early = isinstance(too_few_steps(evidence), Finding)
    reason = None if guessed or early else _better_on_test(evidence) or _better_than_learnt(evidence)
    reason = reason or _neighbours_differ(evidence, neighbors) or _swapped(evidence)
    reason = reason or (None if guessed or early else _sure_but_wrong(evidence))
    if reason is not None:
        return reason
    if neighbors is not None and neighbors.worse_in_test:
        return Inconclusive(label_noise.worse_in_test(neighbors))
    cleared = None if guessed else _cleared(evidence, now)
    if cleared is None and neighbors is not None and neighbors.sound:
        cleared = label_noise.sound(neighbors)
    if cleared is not None:
        return Negative(cleared)
    if early:
        return Inconclusive("The run ended too early for answers to say anything of labels.")
    if guessed:
        return Inconclusive(f"The {now.part} images are only guessed, so answers say nothing of labels.")
    return Inconclusive("Whether sure answers meet other labels is seen by the probe label-agreement.")


def _cleared(evidence: Evidence, now: AccuracySummary) -> str | None:
    """Return a sentence that rules out label noise by predictions; None where they are inconclusive."""
    agreed = _confident(evidence)
    if agreed is not None:
        accuracy, share, images, part = agreed
        return (
            f"Of its {images:,} surest answers on {part} images {percent(share)} are right, and "
            f"{percent(accuracy)} of all."
        )
    if now.above(now.held_out_accuracy) > 0.9:
        return (
            f"{percent(now.held_out_accuracy)} of the {now.part} labels are those that the network found by "
            "itself."
        )
    val, test = evidence.curve("val/accuracy").last, evidence.curve("test/accuracy").last
    if val is not None and test is not None and evidence.data.validation >= 50:
        return (
            f"Validation and test images are known alike ({percent(val)} and {percent(test)}), as where both "
            "are labeled alike; the probe label-agreement looks for errors that both share."
        )
    return None


def _neighbours_differ(evidence: Evidence, neighbors: Agreement | None) -> Finding | None:
    """Detect noise in the training part from its images alone, whatever the network predicts."""
    if neighbors is None or not neighbors.found:
        return None
    return _noisy(evidence, 0.9, neighbors.wrong, label_noise.verdict(neighbors), "", ())


def _swapped(evidence: Evidence) -> Finding | None:
    """Detect systematic noise: part of one class's training images is labeled as one other class.

    Such labels agree with each other, so that neighbors among training images agree as often as with test
    images. But the confusion is asymmetric: images of class a have many neighbors labeled b, and not those of
    b many labeled a, as where both look alike. Not of a watched loop: what its inputs are (signals, columns)
    is not known, and of some data neighbors are asymmetric by nature.
    """
    if evidence.loop is not None:
        return None
    pairs = swapped_classes(evidence)
    wrong = sum(share for _, _, share in pairs) / max(evidence.classes, 1)
    if wrong < SWAPPED:
        return None
    names = evidence.data.classes
    listed = "; ".join(
        f"'{names[label]}' as '{names[other_label]}' {percent(share)}"
        for label, other_label, share in pairs[:5]
    )
    first, second, share = pairs[0]
    return _noisy(
        evidence,
        0.9,
        wrong,
        f"About {percent(wrong)} of the training labels are wrong, by a pattern: of {len(pairs)} classes a "
        "part is labeled as one other class.",
        f"Of the training images most like a test image of '{names[first]}', {percent(share)} are labeled "
        f"'{names[second]}'. Classes that look alike are confused both ways; here images of "
        f"'{names[second]}' are hardly near any that are labeled '{names[first]}', so that it is the "
        f"labels and not the looks. In the same way: {listed}.",
        (Fact("classes that are labeled as another in part", len(pairs), f"{len(pairs)} of {len(names)}"),),
    )


def swapped_classes(evidence: Evidence) -> list[tuple[int, int, float]]:
    """Return classes partly labeled as another: the class, the other, and the fraction.

    That is where the confusion of neighbors is asymmetric by more than `ONE_SIDED`, significantly: digits and
    CIFAR-10 have up to 6 and 10 points. Much more common classes, met more often for that reason alone, are
    left out.
    """
    neighbors = evidence.quality.neighbours_of_test
    rows = neighbors.confusion if neighbors is not None else ()
    if neighbors is None or not len(rows) == evidence.classes == len(evidence.data.counts):
        return []
    counts = evidence.data.counts
    shares = [[count / max(sum(row), 1) for count in row] for row in rows]
    result = []
    for label, row in enumerate(shares):
        others = [
            most_confused
            for most_confused in range(len(rows))
            if most_confused != label and counts[most_confused] <= COMMONER * max(counts[label], 1)
        ]
        most_confused = max(others, key=lambda at: row[at] - shares[at][label], default=label)
        # An image's neighbors are correlated: count each image once.
        images = [sum(rows[at]) // max(neighbors.each, 1) for at in (label, most_confused)]
        tolerance = math.hypot(
            standard_error(row[most_confused], images[0]),
            standard_error(shares[most_confused][label], images[1]),
        )
        if (
            min(images) >= MIN_IMAGES
            and row[most_confused] - shares[most_confused][label] > ONE_SIDED + ERRORS * tolerance
        ):
            result.append(
                (label, most_confused, row[most_confused] / max(row[most_confused] + row[label], 1e-9))
            )
    return sorted(result, key=lambda pair: -pair[2])


def _better_on_test(evidence: Evidence) -> Finding | None:
    """Detect noise in the training and validation images that the test images do not have."""
    repeated, data = evidence.quality.repeats, evidence.data
    if min(data.validation, data.test) < ENOUGH or (repeated and repeated.test):
        return None
    held = _last_epochs(evidence, "val/accuracy", "test/accuracy")
    if not all(_significantly_higher(lower, higher, data.validation, data.test) for lower, higher in held):
        return None
    val, test = held[-1]
    tolerance, better = (
        math.hypot(standard_error(val, data.validation), standard_error(test, data.test)),
        test - val,
    )
    wrong = _wrong_fraction(test, val, evidence.classes)
    if not MIN_WRONG <= wrong <= _max_wrong_fraction(evidence):
        return None
    return _noisy(
        evidence,
        0.95,
        wrong,
        f"About {percent(wrong)} of the training labels are wrong: {percent(test)} of the test images are "
        f"known, but only {percent(val)} of the validation images, which are labeled as the training images "
        "are.",
        "Validation images are training images that were set aside, so they are labeled by the same hand. "
        f"Of them the network knows {percent(val, 1)}, of the test images {percent(test, 1)}: "
        f"{100 * better:.1f} points more, {better / max(tolerance, 1e-9):.0f} standard errors. It cannot be "
        "better on one than on the other, unless its answers are right and the labels are not."
        f"\n\n{_arithmetic(test, val, evidence.classes)}",
        (
            Fact("test accuracy", test, f"{percent(test, 1)} of {evidence.data.test:,}"),
            Fact("validation accuracy", val, f"{percent(val, 1)} of {evidence.data.validation:,}"),
        ),
    )


def _last_epochs(evidence: Evidence, first: str, second: str) -> list[tuple[float, float]]:
    """Return two curves at their last `LATELY` common epochs; for a single epoch, equal values."""
    curves = [dict(zip(c.steps, c.values, strict=True)) for c in map(evidence.curve, (first, second))]
    steps = sorted(curves[0].keys() & curves[1].keys())[-LATELY:]
    return [(curves[0][step], curves[1][step]) for step in steps] if len(steps) > 1 else [(0.0, 0.0)]


def _significantly_higher(lower: float, higher: float, of_less: int, of_more: int) -> bool:
    """Return whether one accuracy is significantly above another."""
    tolerance = math.hypot(standard_error(lower, of_less), standard_error(higher, of_more))
    return higher - lower >= max(TOO_GOOD, ERRORS * tolerance)


def _wrong_fraction(right: float, counted: float, classes: int) -> float:
    """Return the fraction of wrong labels at which predictions of accuracy `right` score `counted`."""
    by_accident = (1 - right) / max(classes - 1, 1)
    return (right - counted) / max(right - by_accident, 1e-9)


def _max_wrong_fraction(evidence: Evidence) -> float:
    """Return the fraction of wrong labels at which right ones are no more common than others."""
    return 1 - 1 / max(evidence.classes, 1)


def _arithmetic(right: float, counted: float, classes: int) -> str:
    by_accident = (1 - right) / max(classes - 1, 1)
    return (
        "If a part q of the labels is wrong, a right answer is counted as right only 1 − q of the time, "
        "and a wrong one meets the same wrong label now and then: "
        f"{right:.3f} · (1 − q) + {1 - right:.3f} · q / {classes - 1} = {counted:.3f} gives "
        f"q = ({right:.3f} − {counted:.3f}) / ({right:.3f} − {by_accident:.3f}) = "
        f"{_wrong_fraction(right, counted, classes):.2f}."
    )


def _better_than_learnt(evidence: Evidence) -> Finding | None:
    """Detect training accuracy (and validation accuracy, if any) below test accuracy."""
    learnt, test = evidence.curve("train/epoch_accuracy"), evidence.curve("test/accuracy").last
    repeated, data = evidence.quality.repeats, evidence.data
    rates = dropout_rates(evidence).values()
    hindered = uses_augmentation(evidence.recipe) or any(rate > LITTLE for rate in rates)
    # The statistics of a batch lower training accuracy too: then only images that were compared count.
    hindered = hindered or (has_batch_norm(evidence) and agreement(evidence) is None)
    # Of a watched loop's transforms only that is known, whether images come again as they were; and several
    # layers with little dropout hinder together.
    hindered = hindered or (evidence.loop is not None and (not evidence.loop.images.unchanged or any(rates)))
    if test is None or len(learnt) < LATELY or hindered or (repeated and repeated.test):
        return None
    val = evidence.curve("val/accuracy").last
    if min(data.train, data.test) < ENOUGH or (
        val is not None and data.validation >= ENOUGH and test - val < TOO_GOOD
    ):
        return None
    # Training accuracy is the mean over an epoch: while it rises, test accuracy is higher for that reason.
    last, rising = learnt.values[-1], max(learnt.values[-1] - learnt.values[-2], 0.0)
    held = _last_epochs(evidence, "train/epoch_accuracy", "test/accuracy")
    if not all(
        _significantly_higher(lower + rising, higher, data.train, data.test) for lower, higher in held
    ):
        return None
    wrong = _wrong_fraction(test, last, evidence.classes)
    if not MIN_WRONG <= wrong <= _max_wrong_fraction(evidence):
        return None
    return _noisy(
        evidence,
        0.85,
        wrong,
        f"About {percent(wrong)} of the training labels are wrong: {percent(test)} of the test images are "
        f"known, but only {percent(last)} of the training images themselves.",
        "Without dropout and augmentation a network knows what it learns from at least as well as other "
        f"images. Here it knows {percent(last, 1)} of the training images and {percent(test, 1)} of the test "
        "images: its answers are right more often than the training labels are."
        f"\n\n{_arithmetic(test, last, evidence.classes)}",
        (Fact("test accuracy", test, f"{percent(test, 1)} of {evidence.data.test:,}"),),
    )


def _confident(evidence: Evidence) -> tuple[float, float, int, str] | None:
    """Return the probe's accuracy of all and of the most confident predictions, their number and part."""
    confident_parts: dict[str, Any] = evidence.probes.get("label-agreement", {}).get("confident", {})
    part = max(confident_parts, key=lambda name: int(confident_parts[name]["images"]), default=None)
    if part is None or confident_parts[part]["accuracy"] < KNOWN:
        return None
    confident = confident_parts[part]
    return float(confident["accuracy"]), float(confident["share"]), int(confident["images"]), part


def _sure_but_wrong(evidence: Evidence) -> Finding | None:
    """Detect noise in all parts: the most confident predictions meet other labels as often as any."""
    agreed, curve = _confident(evidence), summarize_loss(evidence)
    # With a loss above chance level its confidence is not informative.
    if agreed is None or (curve is not None and curve.end > curve.chance):
        return None
    accuracy, share, images, part = agreed
    tolerance = math.hypot(standard_error(share, images), standard_error(accuracy, 5 * images))
    if images < SURE or share + tolerance > accuracy + LIFT * (1 - accuracy):
        return None
    return _noisy(
        evidence,
        0.8,
        1 - share,
        f"About {percent(1 - share)} of the labels are wrong: so many of the network's surest answers meet "
        "another.",
        f"Of {part} images, which it did not learn from, the fifth that the network is surest of are "
        f"{images:,}. Of these {percent(share, 1)} are right, and {percent(accuracy, 1)} of all. Where "
        "images are hard the surest answers are much better than the others, because some images are harder; "
        "where labels are wrong, sure and unsure answers meet a wrong label alike.",
        (
            Fact("right of the surest fifth", share, f"{percent(share, 1)} of {images:,} {part} images"),
            Fact("right of all", accuracy, f"{percent(accuracy, 1)}"),
        ),
    )


def _noisy(
    evidence: Evidence, confidence: float, wrong: float, verdict: str, reason: str, facts: tuple[Fact, ...]
) -> Finding:
    learnt, neighbors = evidence.curve("train/epoch_accuracy").last or 0.0, agreement(evidence)
    estimate = neighbors if neighbors and neighbors.found else None
    reasons = (reason, label_noise.arithmetic(estimate) if estimate else "", _NO_USE)
    return Finding(
        cause="labels-noisy",
        confidence=confidence,
        effect=min(1.0, max(0.3, wrong)),
        verdict=verdict,
        explanation="\n\n".join(filter(None, reasons)),
        facts=(
            *facts,
            *(label_noise.facts(estimate) if estimate else ()),
            Fact("accuracy in training", learnt, f"{percent(learnt, 1)}"),
        ),
        pictures=(
            *((label_noise.agreement_figure(estimate),) if estimate else ()),
            *_doubted(evidence),
            *_both(evidence),
            loss_figure(evidence, "Loss, and that of chance"),
        ),
        ruled_out=_labels_belong(evidence),
        explains=(
            "over-fitting-data",
            "over-fitting-augmentation",
            "over-fitting-model",
            "under-fitting",
            "too-few-steps",
            "rate-too-low",
            # True accuracy is higher than noisy labels show: long steps did not keep it from learning.
            "rate-too-high",
            "data-enlarged",
        ),
    )


def _labels_belong(evidence: Evidence) -> tuple[str, ...]:
    neighbors = evidence.quality.neighbours
    if neighbors is None or not neighbors_agree(neighbors):
        return ()
    return (f"Labels shuffled altogether: neighbors share one {percent(neighbors.share)} of the time.",)


def _both(evidence: Evidence) -> tuple[Picture, ...]:
    val, test = evidence.curve("val/accuracy").last, evidence.curve("test/accuracy").last
    if val is None or test is None:
        return ()
    return (
        Bars(
            title="Labeled by the same hand, and by another",
            names=("validation images", "test images"),
            values={"accuracy": (val, test)},
            y_label="accuracy",
            alt=f"Validation {percent(val)}, test {percent(test)}.",
            percent=True,
        ),
    )


def _doubted(evidence: Evidence) -> tuple[Picture, ...]:
    doubted = evidence.probes.get("label-agreement", {}).get("doubted", ())
    if not doubted:
        return ()
    classes = evidence.data.classes
    images = tuple(
        (
            image["png"],
            f"labeled '{classes[image['label']]}', {percent(image['sure'])} '{classes[image['answer']]}'",
        )
        for image in doubted
    )
    return (
        Images(
            "Where the network is sure of another class", images, f"{len(images)} images and their labels."
        ),
    )
