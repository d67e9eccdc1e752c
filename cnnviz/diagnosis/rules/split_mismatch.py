"""Classes that differ between the splits: absent from one, written differently, or in another order."""

from __future__ import annotations

from cnnviz.datasets.layouts.classes import same_name
from cnnviz.diagnosis.evidence import Evidence, Resembled
from cnnviz.diagnosis.excluded import OVER_FITTING
from cnnviz.diagnosis.finding import Bars, Fact, Finding
from cnnviz.diagnosis.input_shift import InputShift, input_shift
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import ERRORS, error

EXPECTED = 5.0
"""Test images that a class without any would have by its share of the training images: with so many, none at
all is no accident (e⁻⁵ = 0.7 %)."""
LISTED = 5
"""Class names that a sentence repeats."""
MOST_SHOWN = 20
"""Classes in a picture."""
EACH = 10
"""Test images of a class, below which what it looks like is not judged."""
MIXED_UP = 0.6
"""Of the images of a class, that have to look like another one."""


@rule(
    "split-mismatch",
    title="Splits that do not match",
    summary="Training and test images are not of the same classes or of the same kind, or number classes in "
    "another order.",
    live=True,
)
def split_mismatch(evidence: Evidence) -> Outcome:
    """Found where classes of both parts differ, labels are permuted, or test images are of another kind."""
    train, test = evidence.data.counts, evidence.census.test_counts
    if not sum(train) or not sum(test) or len(train) != len(test):
        return Untold("How many images there are of each class in both parts was not recorded.")
    held = evidence.census.validation_counts or (0,) * len(train)
    untrained = tuple(i for i, n in enumerate(test) if n and not train[i] and not held[i])
    share = sum(test) / sum(train)
    untested = tuple(i for i, n in enumerate(test) if not n and train[i] * share >= EXPECTED)
    paired = _paired(evidence, untrained, tuple(i for i, n in enumerate(test) if not n and train[i]))
    if paired or (untested and not untrained) or (untested and untrained):
        return _differ(evidence, untrained, untested, paired)
    moved = _moved(evidence.census.resembled or ())
    if len(moved) >= 2:
        return _permuted(evidence, moved)
    shift = input_shift(evidence)
    if shift is not None:
        return _unlike(evidence, shift)
    if untrained:
        return Clear("Classes without training images apart, which are a cause of their own, parts agree.")
    return Clear(f"All {sum(1 for n in train if n)} classes that have training images have test images too.")


def _paired(
    evidence: Evidence, untrained: tuple[int, ...], untested: tuple[int, ...]
) -> tuple[tuple[str, str], ...]:
    """Names that are written differently in both parts: in training, in the test."""
    names = evidence.data.classes
    return tuple(
        (names[one], names[other])
        for one in untested
        for other in untrained
        if same_name(names[one], names[other])
    )


def _differ(
    evidence: Evidence,
    untrained: tuple[int, ...],
    untested: tuple[int, ...],
    paired: tuple[tuple[str, str], ...],
) -> Finding:
    names, test = evidence.data.classes, evidence.census.test_counts
    lost = sum(test[i] for i in untrained) / sum(test)
    said = []
    if untested:
        said.append(f"no test images of {listed([names[i] for i in untested])}")
    if untrained:
        said.append(f"no training images of {listed([names[i] for i in untrained])}")
    if not said:
        said.append(f"'{paired[0][0]}' in training is '{paired[0][1]}' in the test")
    alike = "; ".join(f"'{one}' in training and '{other}' in the test" for one, other in paired[:LISTED])
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
        verdict=f"Training and test images are not of the same classes: {' and '.join(said)}.",
        explanation=(
            f"The run has {len(names)} classes: all that occur in either part. {cost} "
            + (f"These are probably one class each, written differently: {alike}. " if alike else "")
            + "\n\nOnly the data can mend it: name the class folders of both parts alike, and split "
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
    train, test = evidence.data.counts, evidence.census.test_counts
    most = max(untested, key=train.__getitem__)
    count = train[most] * sum(test) / sum(train)
    return (
        f"'{evidence.data.classes[most]}' has {train[most]:,} of {sum(train):,} training images, so about "
        f"{count:.0f} of {sum(test):,} test images would show it"
    )


def _moved(seen: tuple[Resembled, ...]) -> tuple[Resembled, ...]:
    """Test classes that look like another training class, each like one of its own, beyond accident."""
    moved = tuple(
        one
        for one in seen
        if one.like != one.label
        and one.images >= EACH
        and one.share - ERRORS * error(one.share, one.images) > 0.5
        and one.share > MIXED_UP
    )
    targets = [one.like for one in seen if one.images >= EACH]
    return moved if all(targets.count(one.like) == 1 for one in moved) else ()


def _permuted(evidence: Evidence, moved: tuple[Resembled, ...]) -> Finding:
    names, test = evidence.data.classes, evidence.census.test_counts
    lost = sum(test[one.label] for one in moved) / max(sum(test), 1)
    pairs = "; ".join(
        f"'{names[one.label]}' looks like '{names[one.like]}' ({percent(one.share)})"
        for one in moved[:LISTED]
    )
    return Finding(
        cause="split-mismatch",
        confidence=0.95,
        effect=min(1.0, max(0.5, lost)),
        verdict=(
            f"{len(moved)} of {len(names)} classes are labelled otherwise in the test than in training: test "
            f"images of '{names[moved[0].label]}' look like training images of '{names[moved[0].like]}'."
        ),
        explanation=(
            "Of the five training images most like each test image, most have one other label, and each "
            f"class has another one of its own: {pairs}. So labels belong to images in both parts, but they "
            f"are numbered in another order. {percent(lost)} of the test images are of such classes, and "
            "count as wrong when the answer is right.\n\nOnly the data can mend it: give both parts one list "
            "of classes, in one order."
        ),
        facts=tuple(
            Fact(f"'{names[one.label]}' looks like '{names[one.like]}'", one.share, f"{percent(one.share)}")
            for one in moved[:LISTED]
        ),
        pictures=(_counts(evidence, {one.label for one in moved}),),
        explains=(*OVER_FITTING, "labels-noisy"),
    )


def _unlike(evidence: Evidence, shift: InputShift) -> Finding:
    """Test images of the right classes that are not of the kind that was learned from."""
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
            "what is learned by heart fails on both alike. What fails on test images alone is something "
            "that they do not share with training images: another source or camera, brightness, contrast or "
            "colours turned round, a rotation, another crop or preparation; or a mark in the training images "
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
    names, train, test = evidence.data.classes, evidence.data.counts, evidence.census.test_counts
    others = [i for i in range(len(names)) if i not in marked]
    shown = sorted([*sorted(marked)[:MOST_SHOWN], *others[: max(0, MOST_SHOWN - len(marked))]])
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
    """Up to `LISTED` names in quotes, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:LISTED]) + more
