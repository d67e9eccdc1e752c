"""Classes that differ between the splits, and copies of training images in the test."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import (
    Baseline,
    BaselineScore,
    DataQuality,
    Detail,
    NearDuplicates,
    NeighboursOfTest,
    Repeats,
    Resembled,
)
from tests.diagnosis.test_rules_of_data import SOUND, data, run
from tests.diagnosis.well_formed import assert_well_formed

NONE_TWICE = Repeats(test=0, validation=0, train=0, conflicting=0)


def split(train: tuple[int, ...], test: tuple[int, ...], **changes: Any) -> Evidence:
    names = ("Cat", "cat", "dog", *(f"kind {number}" for number in range(len(train) - 3)))
    base = {"train": sum(train), "test": sum(test), "counts": train, "classes": names[: len(train)]}
    quality = DataQuality(neighbours=SOUND, test_counts=test, **changes)
    return run(0.9, 0.8, 0.5, data=data(**base), quality=quality)


def apply_rule(evidence: Evidence, cause: str = "split-mismatch") -> object:
    return rules()[cause].apply(evidence)


def test_a_class_written_in_two_ways_is_named_before_the_classes_that_it_leaves_empty() -> None:
    result = diagnose(split((100, 0, 100), (0, 50, 50)))
    assert result.findings[0].cause == "split-mismatch"
    assert "no test images of 'Cat' and no training images of 'cat'" in result.verdict
    assert "'Cat' in training and 'cat' in the test" in result.findings[0].explanation
    assert "at most 50.0 % can be right" in result.findings[0].explanation


def test_a_class_that_is_never_asked_for_is_found() -> None:
    result = apply_rule(split((100, 100, 100), (0, 30, 30)))
    assert isinstance(result, Finding)
    assert "no test images of 'Cat'" in result.verdict


def test_a_rare_class_that_few_test_images_miss_by_chance_is_no_fault() -> None:
    assert isinstance(apply_rule(split((10, 500, 500), (0, 100, 100))), Negative)


def test_classes_without_training_images_alone_are_a_cause_of_their_own() -> None:
    evidence = split((0, 100, 100), (30, 30, 30))
    assert isinstance(apply_rule(evidence), Negative)
    assert isinstance(apply_rule(evidence, "classes-missing"), Finding)


def test_the_same_classes_in_both_parts_are_clear() -> None:
    assert isinstance(apply_rule(split((100, 90, 80), (30, 20, 10))), Negative)


def test_without_counts_nothing_is_said() -> None:
    assert isinstance(apply_rule(run(0.9, 0.8, quality=DataQuality())), Inconclusive)


def turned(*rows: tuple[int, int, float]) -> tuple[Resembled, ...]:
    return tuple(Resembled(label=label, images=60, like=like, share=share) for label, like, share in rows)


def test_labels_in_another_order_are_found_by_what_images_look_like() -> None:
    mixed = turned((0, 1, 0.9), (1, 2, 0.85), (2, 0, 0.95))
    result = diagnose(split((100, 100, 100), (60, 60, 60), resembled=mixed)).findings[0]
    assert result.cause == "split-mismatch"
    assert "3 of 3 classes are labeled otherwise" in result.verdict
    assert "'Cat' looks like 'cat' (90 %)" in result.explanation


@pytest.mark.parametrize(
    "rows",
    [
        ((0, 0, 0.9), (1, 1, 0.85), (2, 2, 0.95)),
        # Hard images: all look like one class that happens to be plain.
        ((0, 2, 0.8), (1, 2, 0.8), (2, 2, 0.8)),
        # As where half of the labels are wrong.
        ((0, 1, 0.5), (1, 0, 0.52), (2, 2, 0.55)),
    ],
    ids=["in order", "a hub", "noise"],
)
def test_classes_that_look_like_others_by_nature_are_not_taken_for_mixed_up(
    rows: tuple[tuple[int, int, float], ...],
) -> None:
    assert isinstance(apply_rule(split((100,) * 3, (60,) * 3, resembled=turned(*rows))), Negative)


PAIR = {"test": 3, "train": 7, "labels": [1, 1], "distance": 0.03, "png": ["iVBORw0KGgo=", "iVBORw0KGgo="]}


def copied(copies: int, known: int = 3_600, images: int = 1_000) -> Evidence:
    near = NearDuplicates(copies=copies, images=images, known=known, pairs=(PAIR,))
    quality = DataQuality(neighbours=SOUND, test_counts=(100,) * 10, repeats=NONE_TWICE, near_duplicates=near)
    return run(0.99, 0.9, 0.97, quality=quality, data=data(train=3_600))


def test_training_images_saved_again_in_the_test_are_leakage_without_a_probe() -> None:
    result = diagnose(copied(700)).findings[0]
    assert result.cause == "leakage"
    assert "About 70 % of the test images are training images saved again" in result.verdict
    assert result.pictures[0].alt.startswith("test image 3 ")


def test_of_a_sample_of_training_images_the_share_of_copies_is_scaled_up() -> None:
    result = apply_rule(copied(300, known=1_800), "leakage")
    assert isinstance(result, Finding)
    assert "About 60 %" in result.verdict


@pytest.mark.parametrize("copies", [0, 30, 49])
def test_copies_as_rare_as_in_cifar_10_are_counted_and_no_fault(copies: int) -> None:
    result = apply_rule(copied(copies), "leakage")
    assert isinstance(result, Negative)
    assert f"saved again, {copies} of 1,000" in result.by


FAR_AWAY = NeighboursOfTest(share=0.05, chance=0.1, images=1000, each=5, nearer=0.02)
AS_NEAR = NeighboursOfTest(share=0.88, chance=0.1, images=1000, each=5, nearer=0.52)
COPIED = Repeats(test=0, validation=300, train=0, conflicting=0)


def unlike(
    val: float, test: float, patches: tuple[float, float] | None = (0.85, 0.2), **changes: Any
) -> Evidence:
    """A run, and a classifier without training, on validation and test images."""
    quality = DataQuality(
        test_counts=(100,) * 10, neighbours=SOUND, neighbours_of_test=FAR_AWAY, repeats=NONE_TWICE, **changes
    )
    scores = [BaselineScore(images=400, accuracy=one, constant=0.1) for one in patches or ()]
    baseline = Baseline(learned_from=2000, validation=scores[0], test=scores[1]) if scores else None
    return run(val + 0.03, val, test, quality=quality, baseline=baseline)


@pytest.mark.parametrize("test", [0.14, 0.55])
def test_test_images_of_another_kind_are_a_split_that_does_not_match_and_no_over_fitting(test: float) -> None:
    """Inverted, turned and dark test images were called over-fitting for want of augmentation, six of six."""
    evidence = unlike(0.9, test)
    result = diagnose(evidence)
    assert result.findings[0].cause == "split-mismatch"
    assert_well_formed(result.findings[0], evidence)
    assert not [one for one in result.findings if one.cause.startswith("over-fitting")]
    assert "not like those that were learned from" in result.verdict


def test_one_sign_alone_is_not_enough_to_say_that_test_images_are_of_another_kind() -> None:
    near = unlike(0.9, 0.6, None)
    near = near.model_copy(
        update={"quality": near.quality.model_copy(update={"neighbours_of_test": AS_NEAR})}
    )
    assert isinstance(apply_rule(near), Negative)
    assert isinstance(apply_rule(unlike(0.9, 0.88, (0.85, 0.84))), Negative)


def test_over_fitting_fails_on_validation_images_too_and_is_still_found() -> None:
    same = unlike(0.6, 0.6, (0.85, 0.84))
    same = same.model_copy(
        update={
            "curves": {**same.curves, "train/epoch_accuracy": run(1.0, 0.6).curves["train/epoch_accuracy"]},
            "quality": same.quality.model_copy(update={"neighbours_of_test": AS_NEAR}),
        }
    )
    assert isinstance(apply_rule(same), Negative)
    assert diagnose(same).findings[0].cause.startswith("over-fitting")


def test_validation_images_that_are_copies_are_no_measure_of_the_test() -> None:
    evidence = unlike(0.9, 0.3)
    copied = evidence.quality.model_copy(update={"repeats": COPIED})
    assert isinstance(apply_rule(evidence.model_copy(update={"quality": copied})), Negative)


def test_other_shares_of_classes_explain_a_test_that_is_known_less() -> None:
    """Of unbalanced training images validation images are too, so that those are known better."""
    evidence = unlike(0.9, 0.4)
    unbalanced = evidence.model_copy(update={"data": data(counts=(3_640, *(40,) * 9))})
    assert isinstance(apply_rule(unbalanced), Negative)


def test_classes_that_only_one_part_has_come_before_the_over_fitting_that_they_look_like() -> None:
    """A sorted list that was split in two was called over-fitting first."""
    names = tuple(f"kind {number}" for number in range(10))
    train, test = (200,) * 4 + (7,) * 6, (0,) * 4 + (40,) * 6
    quality = DataQuality(neighbours=SOUND, test_counts=test)
    apart = data(train=sum(train), test=sum(test), validation=40, counts=train, classes=names)
    findings = diagnose(run(0.99, 1.0, 0.37, data=apart, quality=quality)).findings
    assert findings[0].cause == "split-mismatch"


def test_enlarged_images_that_look_like_each_other_are_no_copies() -> None:
    """Letters of 3×3 pixels, enlarged: 75 of 400 test images looked like training images saved again."""
    near = NearDuplicates(copies=75, images=400, known=720)
    for halved, expected in ((0.004, Inconclusive), (0.12, Finding)):
        quality = DataQuality(
            repeats=NONE_TWICE,
            near_duplicates=near,
            neighbours=SOUND,
            detail=Detail(halved=halved, quartered=0.3),
        )
        assert isinstance(apply_rule(run(0.83, 0.8, quality=quality), "leakage"), expected)
