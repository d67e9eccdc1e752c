"""Rule on splits that do not match: other classes, another order, other preprocessing, other images."""

from __future__ import annotations

from cnnviz.datasets.class_folders import same_name
from cnnviz.diagnosis.evidence import Evidence, Resembled
from cnnviz.diagnosis.evidence.generalization import (
    STANDARD_ERRORS,
    InputShift,
    first_pass_accuracy,
    input_shift,
)
from cnnviz.diagnosis.evidence.learning_curves import ENOUGH, ERRORS, accuracy_summary, standard_error
from cnnviz.diagnosis.evidence.loop import LoopInput
from cnnviz.diagnosis.exclusions import OVER_FITTING
from cnnviz.diagnosis.finding import Bars, CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.loop.loss import labels_permuted
from cnnviz.diagnosis.rules.training.batch_norm import unsettled

EXPECTED = 5.0
"""Expected test images of a class by its share of the training images: with so many, none is no accident
(e⁻⁵ = 0.7 %).
"""
LISTED = 5
"""Most class names in a sentence."""
MAX_SHOWN = 20
"""Most classes in a figure."""
EACH = 10
"""Least test images of a class for its resemblance to count."""
LOST_BY_PREPARATION = 0.15
"""Generalization gap: less may be overfitting."""
TELLING, OTHER_LABELS = 0.3, 0.4
"""Label agreement of neighbors beyond chance, chance-corrected, from which looks tell labels; and the part
of it between the two parts below which they are of different kinds.
"""
MIXED_UP = 0.6
"""Fraction of a class's images that resemble another class."""


@rule(
    "split-mismatch",
    title="Splits that do not match",
    summary="Training and test images are not of the same classes or of the same kind, or number classes in "
    "another order.",
    live=True,
)
def split_mismatch(evidence: Evidence) -> Outcome:
    """Detect splits with other classes, permuted labels, other preprocessing, or input shift."""
    if evidence.loop is not None and evidence.loop.preprocessing_mismatch is not None:
        return _prepared_otherwise(evidence, *evidence.loop.preprocessing_mismatch)
    unlike = _unlike_neighbors(evidence) if evidence.loop is not None else None
    if unlike is not None:
        return unlike
    first = first_pass_accuracy(evidence)
    if first is not None and evidence.loop is not None:
        return _unlike_the_first_epoch(evidence, first)
    train, test = evidence.data.counts, evidence.quality.test_counts
    if not sum(train) or not sum(test) or len(train) != len(test):
        return Inconclusive("How many images there are of each class in both parts was not recorded.")
    held = evidence.quality.validation_counts or (0,) * len(train)
    untrained = tuple(i for i, n in enumerate(test) if n and not train[i] and not held[i])
    share = sum(test) / sum(train)
    untested = tuple(i for i, n in enumerate(test) if not n and train[i] * share >= EXPECTED)
    paired = _paired(evidence, untrained, tuple(i for i, n in enumerate(test) if not n and train[i]))
    if paired or (untested and not untrained) or (untested and untrained):
        return _different_classes(evidence, untrained, untested, paired)
    permuted = _permuted_classes(evidence.quality.resembled or ())
    if len(permuted) >= 2:
        return _permuted(evidence, permuted)
    shift = input_shift(evidence)
    if shift is not None:
        return _shifted_input(evidence, shift)
    if untrained:
        return Negative("Classes without training images apart, which are a cause of their own, parts agree.")
    return Negative(
        f"All {sum(1 for n in train if n)} classes that have training images have test images too."
    )


def _prepared_otherwise(evidence: Evidence, train: LoopInput, judged: LoopInput) -> Outcome:
    """Report evaluation images with another preprocessing than training images."""
    figures = (
        f"mean {short(judged.mean)} and standard deviation {short(judged.spread)}, and those that are "
        f"learned from mean {short(train.mean)} and standard deviation {short(train.spread)}"
    )
    now = accuracy_summary(evidence)
    if now is None:
        return Inconclusive(f"Judged images have {figures}; how many of them are known is not recorded.")
    if now.train_accuracy - now.held_out_accuracy < LOST_BY_PREPARATION:
        return Negative(f"Judged images have {figures}, and are known as well.")
    return Finding(
        cause="split-mismatch",
        confidence=0.92,
        effect=min(1.0, max(0.5, now.train_accuracy - now.held_out_accuracy)),
        verdict=f"Images are prepared otherwise where they are judged: they have {figures}.",
        explanation=(
            f"The network knows {percent(now.train_accuracy)} of the images that it learns from and "
            f"{percent(now.held_out_accuracy)} of those that are judged. It reads values of another size "
            "there than it ever learned from, so its answers say nothing of how well it has learned. "
            "Usually one of both is divided by 255 or standardized, and the other is not."
        ),
        facts=(
            Fact(
                "mean and standard deviation, training",
                train.spread,
                f"{short(train.mean)}, {short(train.spread)}",
            ),
            Fact(
                "mean and standard deviation, evaluated",
                judged.spread,
                f"{short(judged.mean)}, {short(judged.spread)}",
            ),
            *now.facts,
        ),
        explains=("labels-shuffled", "labels-noisy", "labels-permuted", "one-class", *OVER_FITTING),
        hides=("labels-shuffled", "labels-permuted"),
        fix=CodeFix(
            "Prepare both by the same code.",
            "transform = ...  # scale, mean and standard deviation\n"
            "train = Dataset(..., transform=transform)\ntest = Dataset(..., transform=transform)",
        ),
    )


def _unlike_neighbors(evidence: Evidence) -> Finding | None:
    """Detect judged images whose nearest training images have other labels, though looks tell labels."""
    quality, now = evidence.quality, accuracy_summary(evidence)
    train, test, across = quality.neighbours, quality.neighbours_among_test, quality.neighbours_of_test
    if train is None or test is None or across is None or now is None:
        return None
    least = min(train.excess, test.excess)
    if least < TELLING or across.excess > OTHER_LABELS * least or min(train.images, test.images) < ENOUGH:
        return None
    if now.train_accuracy - now.held_out_accuracy < LOST_BY_PREPARATION:
        return None
    if isinstance(labels_permuted(evidence), Finding):
        return None
    return Finding(
        cause="split-mismatch",
        confidence=0.85,
        effect=min(1.0, max(0.5, now.train_accuracy - now.held_out_accuracy)),
        verdict="Judged images are not like those that are learned from: among themselves neighbors share a "
        f"label {percent(test.share)} of the time, with training images {percent(across.share)}.",
        explanation=(
            f"Of the {train.each} training images most like a training image {percent(train.share)} have "
            f"its label, and among judged images it is {percent(test.share)}: looks tell labels in either "
            f"part. But of the training images most like a judged one only {percent(across.share)} have "
            f"its label ({percent(across.chance)} by chance). So the parts are prepared otherwise "
            "(channels, axes or time in another order, turned, inverted), come from elsewhere, or number "
            f"their classes differently. {percent(now.train_accuracy)} of the training images are known "
            f"and {percent(now.held_out_accuracy)} of the judged ones."
        ),
        facts=(
            Fact("neighbors with the same label, training", train.share, percent(train.share)),
            Fact("the same, judged images", test.share, percent(test.share)),
            Fact("the same, between the parts", across.share, percent(across.share)),
            *now.facts,
        ),
        explains=(
            "labels-noisy",
            "labels-shuffled",
            "one-class",
            "batch-norm-unsettled",
            "unstable-training",
        ),
        hides=OVER_FITTING,
        fix=CodeFix(
            "Look at a training image and a judged one side by side, and prepare both by the same code.",
            "transform = ...\ntrain = Dataset(..., transform=transform)\n"
            "test = Dataset(..., transform=transform)",
        ),
    )


def _unlike_the_first_epoch(evidence: Evidence, first: float) -> Outcome:
    """Compare judged images with training images that were as new to a network that knew less."""
    now = accuracy_summary(evidence)
    if now is None:
        return Inconclusive("No epoch has ended in which images were judged.")
    known = f"{percent(now.held_out_accuracy)} of the {now.part} images are known"
    behind = first - now.held_out_accuracy
    if behind < max(LOST_BY_PREPARATION, STANDARD_ERRORS * now.error) or now.train_accuracy < first:
        return Negative(
            f"{known}; of training images that were as new, in the first epoch, {percent(first)}."
        )
    if evidence.in_training_mode or unsettled(evidence):
        return Inconclusive(f"{known}, by a network that was not judged as it is.")
    if isinstance(labels_permuted(evidence), Finding):
        return Negative(f"{known}, and most others once classes are renamed: they are of the same kind.")
    return Finding(
        cause="split-mismatch",
        confidence=0.8,
        effect=min(1.0, max(0.5, behind)),
        verdict=f"Judged images are not like those that are learned from: {known}, but in the first epoch "
        f"{percent(first)} of the training images were, which were as new to a network that knew less.",
        explanation=(
            "In its first epoch a network has not seen an image before it answers, so that the training "
            "accuracy of that epoch is one on new images. It has learned on since, to "
            f"{percent(now.train_accuracy)}, and should know at least as many of other images of the same "
            "kind; memorizing costs far less. So the judged ones are prepared otherwise (channels or axes in "
            "another order, turned, another crop or scale), come from elsewhere, or have other labels."
        ),
        facts=(Fact("training accuracy, first epoch", first, percent(first, 1)), *now.facts),
        explains=("labels-noisy", "one-class", "batch-norm-unsettled", "unstable-training"),
        hides=OVER_FITTING,
        fix=CodeFix(
            "Look at a training image and a judged one side by side, and prepare both by the same code.",
            "transform = ...\ntrain = Dataset(..., transform=transform)\n"
            "test = Dataset(..., transform=transform)",
        ),
    )


def _paired(
    evidence: Evidence, untrained: tuple[int, ...], untested: tuple[int, ...]
) -> tuple[tuple[str, str], ...]:
    """Return pairs of class names that differ in spelling only: in training, in the test."""
    names = evidence.data.classes
    return tuple(
        (names[tested_name], names[trained_name])
        for tested_name in untested
        for trained_name in untrained
        if same_name(names[tested_name], names[trained_name])
    )


def _different_classes(
    evidence: Evidence,
    untrained: tuple[int, ...],
    untested: tuple[int, ...],
    paired: tuple[tuple[str, str], ...],
) -> Finding:
    names, test = evidence.data.classes, evidence.quality.test_counts
    lost = sum(test[i] for i in untrained) / sum(test)
    sentences = []
    if untested:
        sentences.append(f"no test images of {listed([names[i] for i in untested])}")
    if untrained:
        sentences.append(f"no training images of {listed([names[i] for i in untrained])}")
    if not sentences:
        sentences.append(f"'{paired[0][0]}' in training is '{paired[0][1]}' in the test")
    spellings = "; ".join(
        f"'{train_name}' in training and '{test_name}' in the test"
        for train_name, test_name in paired[:LISTED]
    )
    cost = (
        f"Of {sum(test):,} test images {sum(test[i] for i in untrained):,} show a class that was never "
        f"learned: at most {percent(1 - lost, 1)} can be right."
        if untrained
        else "The test accuracy says nothing of the classes that are never asked for."
    )
    return Finding(
        cause="split-mismatch",
        confidence=0.97 if untrained or paired else 0.9,
        effect=max(0.4, min(1.0, 2 * lost)),
        verdict=f"Training and test images are not of the same classes: {' and '.join(sentences)}.",
        explanation=(
            f"The run has {len(names)} classes: all that occur in either part. {cost} "
            + (f"These are probably one class each, written differently: {spellings}. " if spellings else "")
            + "\n\nOnly the data can fix it: name the class folders of both parts alike, and split "
            "each class by itself."
        ),
        facts=(
            Fact("classes without test images", len(untested), f"{len(untested)} of {len(names)}"),
            Fact("classes without training images", len(untrained), f"{len(untrained)} of {len(names)}"),
        ),
        pictures=(_counts(evidence, {*untrained, *untested}),),
        ruled_out=(f"Accident: {_expected(evidence, untested)}.",) if untested else (),
        explains=("classes-missing", "classes-unbalanced", "one-class", *OVER_FITTING),
    )


def _expected(evidence: Evidence, untested: tuple[int, ...]) -> str:
    train, test = evidence.data.counts, evidence.quality.test_counts
    most = max(untested, key=train.__getitem__)
    count = train[most] * sum(test) / sum(train)
    return (
        f"'{evidence.data.classes[most]}' has {train[most]:,} of {sum(train):,} training images, so about "
        f"{count:.0f} of {sum(test):,} test images would show it"
    )


def _permuted_classes(all_resembled: tuple[Resembled, ...]) -> tuple[Resembled, ...]:
    """Return test classes that significantly resemble another training class, each a different one."""
    permuted = tuple(
        resembled
        for resembled in all_resembled
        if resembled.like != resembled.label
        and resembled.images >= EACH
        and resembled.share - ERRORS * standard_error(resembled.share, resembled.images) > 0.5
        and resembled.share > MIXED_UP
    )
    targets = [resembled.like for resembled in all_resembled if resembled.images >= EACH]
    return permuted if all(targets.count(resembled.like) == 1 for resembled in permuted) else ()


def _permuted(evidence: Evidence, permuted: tuple[Resembled, ...]) -> Finding:
    names, test = evidence.data.classes, evidence.quality.test_counts
    lost = sum(test[resembled.label] for resembled in permuted) / max(sum(test), 1)
    pairs = "; ".join(
        f"'{names[resembled.label]}' looks like '{names[resembled.like]}' ({percent(resembled.share)})"
        for resembled in permuted[:LISTED]
    )
    return Finding(
        cause="split-mismatch",
        confidence=0.95,
        effect=min(1.0, max(0.5, lost)),
        verdict=(
            f"{len(permuted)} of {len(names)} classes are labeled otherwise in the test than in training: "
            f"test images of '{names[permuted[0].label]}' look like training images of "
            f"'{names[permuted[0].like]}'."
        ),
        explanation=(
            "Of the five training images most like each test image, most have one other label, and each "
            f"class has another one of its own: {pairs}. So labels belong to images in both parts, but they "
            f"are numbered in another order. {percent(lost)} of the test images are of such classes, and "
            "count as wrong when the answer is right.\n\nOnly the data can fix it: give both parts one list "
            "of classes, in one order."
        ),
        facts=tuple(
            Fact(
                f"'{names[resembled.label]}' looks like '{names[resembled.like]}'",
                resembled.share,
                f"{percent(resembled.share)}",
            )
            for resembled in permuted[:LISTED]
        ),
        pictures=(_counts(evidence, {resembled.label for resembled in permuted}),),
        explains=(*OVER_FITTING, "labels-noisy"),
    )


def _shifted_input(evidence: Evidence, shift: InputShift) -> Finding:
    """Report test images of the right classes, but from another distribution."""
    return Finding(
        cause="split-mismatch",
        confidence=0.9 if len(shift.signs) > 2 else 0.8,
        effect=min(1.0, max(0.4, shift.lost)),
        verdict=(
            "Test images are not like those that were learned from: "
            f"{shift.signs[0][:1].lower()}{shift.signs[0][1:]}"
        ),
        explanation="\n\n".join((
            " ".join(shift.signs),
            "Validation images are taken at random out of the training images, so both are of one kind, and "
            "what is memorized fails on both alike. What fails on test images alone is something "
            "that they do not share with training images: another source or camera, brightness, contrast or "
            "colors turned round, a rotation, another crop or preparation; or a mark in the training images "
            "that gives their class away. It can also be the other way round: copies of training images, "
            "changed a little, among the validation images, where images were augmented before the split.",
            "Look at some of both parts side by side (Data), prepare both by the same code, and take "
            "test images from where the training images are from. Where they have to differ, augmentation "
            "that covers the difference helps.",
        )),
        facts=shift.facts,
        pictures=(
            Bars(
                title="Accuracy on both held-out parts",
                names=tuple(shift.accuracies),
                values={part: tuple(pair[at] for pair in shift.accuracies.values())
                        for at, part in enumerate(("validation", "test"))},
                y_label="accuracy",
                alt="; ".join(
                    f"{name}: {percent(one)} of validation and {percent(other)} of test images"
                    for name, (one, other) in shift.accuracies.items()
                ) + ".",
                percent=True,
            ),
        ),
        ruled_out=shift.ruled_out,
        explains=("one-class", "labels-noisy", "batch-norm-unsettled", "unstable-training"),
        hides=OVER_FITTING if shift.instead_of_over_fitting else (),
    )  # fmt: skip


def _counts(evidence: Evidence, marked: set[int]) -> Bars:
    names, train, test = evidence.data.classes, evidence.data.counts, evidence.quality.test_counts
    others = [i for i in range(len(names)) if i not in marked]
    shown = sorted([*sorted(marked)[:MAX_SHOWN], *others[: max(0, MAX_SHOWN - len(marked))]])
    return Bars(
        title="Share of each class in both parts",
        names=tuple(names[i] for i in shown),
        values={
            "training": tuple(train[i] / sum(train) for i in shown),
            "test": tuple(test[i] / sum(test) for i in shown),
        },
        y_label="share of the images",
        marked=tuple(names[i] for i in shown if i in marked),
        alt=f"{len(marked)} of {len(names)} classes differ between the parts.",
        percent=True,
    )


def listed(names: list[str]) -> str:
    """Format up to `LISTED` names in quotes, and the number of the others."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:LISTED]) + more
