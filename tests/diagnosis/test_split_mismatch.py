"""Classes that differ between the splits, and copies of training images in the test."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Clear, Evidence, Finding, Untold, diagnose, rules
from cnnviz.diagnosis.evidence import Census, NearDuplicates, Repeats, Resembled
from tests.diagnosis.test_rules_of_data import SOUND, data, run

NONE_TWICE = Repeats(test=0, validation=0, train=0, conflicting=0)


def split(train: tuple[int, ...], test: tuple[int, ...], **changes: Any) -> Evidence:
    names = ("Cat", "cat", "dog", *(f"kind {number}" for number in range(len(train) - 3)))
    base = {"train": sum(train), "test": sum(test), "counts": train, "classes": names[: len(train)]}
    census = Census(neighbours=SOUND, test_counts=test, **changes)
    return run(0.9, 0.8, 0.5, data=data(**base), census=census)


def judged(evidence: Evidence, cause: str = "split-mismatch") -> object:
    return rules()[cause].judge(evidence)


def test_a_class_written_in_two_ways_is_named_before_the_classes_that_it_leaves_empty() -> None:
    found = diagnose(split((100, 0, 100), (0, 50, 50)))
    assert found.findings[0].cause == "split-mismatch"
    assert "no test images of 'Cat' and no training images of 'cat'" in found.verdict
    assert "'Cat' in training and 'cat' in the test" in found.findings[0].explanation
    assert "at most 50.0% can be right" in found.findings[0].explanation


def test_a_class_that_is_never_asked_for_is_found() -> None:
    found = judged(split((100, 100, 100), (0, 30, 30)))
    assert isinstance(found, Finding)
    assert "no test images of 'Cat'" in found.verdict


def test_a_rare_class_that_few_test_images_miss_by_chance_is_no_fault() -> None:
    assert isinstance(judged(split((10, 500, 500), (0, 100, 100))), Clear)


def test_classes_without_training_images_alone_are_a_cause_of_their_own() -> None:
    evidence = split((0, 100, 100), (30, 30, 30))
    assert isinstance(judged(evidence), Clear)
    assert isinstance(judged(evidence, "classes-missing"), Finding)


def test_the_same_classes_in_both_parts_are_clear() -> None:
    assert isinstance(judged(split((100, 90, 80), (30, 20, 10))), Clear)


def test_without_counts_nothing_is_said() -> None:
    assert isinstance(judged(run(0.9, 0.8, census=Census())), Untold)


def turned(*rows: tuple[int, int, float]) -> tuple[Resembled, ...]:
    return tuple(Resembled(label=label, images=60, like=like, share=share) for label, like, share in rows)


def test_labels_in_another_order_are_found_by_what_images_look_like() -> None:
    mixed = turned((0, 1, 0.9), (1, 2, 0.85), (2, 0, 0.95))
    found = diagnose(split((100, 100, 100), (60, 60, 60), resembled=mixed)).findings[0]
    assert found.cause == "split-mismatch"
    assert "3 of 3 classes are labelled otherwise" in found.verdict
    assert "'Cat' looks like 'cat' (90%)" in found.explanation


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
    assert isinstance(judged(split((100,) * 3, (60,) * 3, resembled=turned(*rows))), Clear)


PAIR = {"test": 3, "train": 7, "labels": [1, 1], "distance": 0.03, "png": ["iVBORw0KGgo=", "iVBORw0KGgo="]}


def copied(copies: int, known: int = 3_600, images: int = 1_000) -> Evidence:
    near = NearDuplicates(copies=copies, images=images, known=known, pairs=(PAIR,))
    census = Census(neighbours=SOUND, test_counts=(100,) * 10, repeats=NONE_TWICE, near_duplicates=near)
    return run(0.99, 0.9, 0.97, census=census, data=data(train=3_600))


def test_training_images_saved_again_in_the_test_are_leakage_without_a_probe() -> None:
    found = diagnose(copied(700)).findings[0]
    assert found.cause == "leakage"
    assert "About 70% of the test images are training images saved again" in found.verdict
    assert found.pictures[0].alt.startswith("test image 3 ")


def test_of_a_sample_of_training_images_the_share_of_copies_is_scaled_up() -> None:
    found = judged(copied(300, known=1_800), "leakage")
    assert isinstance(found, Finding)
    assert "About 60%" in found.verdict


@pytest.mark.parametrize("copies", [0, 30, 49])
def test_copies_as_rare_as_in_cifar_10_are_counted_and_no_fault(copies: int) -> None:
    found = judged(copied(copies), "leakage")
    assert isinstance(found, Clear)
    assert f"saved again, {copies} of 1,000" in found.by
