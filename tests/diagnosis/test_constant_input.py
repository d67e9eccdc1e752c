"""Images that are all equal, or nearly, as the network reads them: said as that, and first."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import DataQuality, Input, Repeats, Variation, View
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy
from tests.diagnosis.test_rules_of_data import run

EVERY = View(images=256, distinct=256, within=80.0, between=66.0, flat=0.0)
READ = View(images=256, distinct=256, within=0.3, between=0.26, flat=0.0)
BLACK = View(images=256, distinct=1, within=0.0, between=0.0, flat=1.0)
FAINT = View(images=256, distinct=188, within=0.04, between=0.09, flat=1.0)
ALL_TWICE = Repeats(test=100, validation=30, train=299, conflicting=90)


def guessed(stored: View, plain: View | None, augmented: View | None, **more: Any) -> Evidence:
    """A run that only guesses, of images that vary so."""
    shares = {"blanked": more.pop("blanked", None), "kept": more.pop("kept", None)}
    seen = Variation(stored=stored, plain=plain, augmented=augmented, **shares)
    quality = DataQuality(variation=seen, test_counts=(100,) * 10, repeats=more.pop("repeats", None))
    return run(0.1, 0.1, quality=quality, **more)


def apply_rule(evidence: Evidence) -> object:
    return rules()["constant-input"].apply(evidence)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (guessed(BLACK, BLACK, BLACK, repeats=ALL_TWICE), "All images are equal: black"),
        (guessed(FAINT, FAINT, FAINT, repeats=ALL_TWICE), "nearly equal"),
        (
            guessed(
                EVERY, READ, BLACK, blanked=1.0, kept=0.0, recipe=Recipe(cutout=56),
                input=Input(mean=0.0, spread=0.0, low=0.0, high=0.0),
            ),
            "Augmentation leaves 100 % of the training images blank",
        ),
        (guessed(EVERY, FAINT.model_copy(update={"between": 0.001}), None), "scale flattens"),
    ],
    ids=["black", "nearly black", "blanked", "flattened"],
)  # fmt: skip
def test_a_constant_input_is_said_as_that_and_alone(evidence: Evidence, said: str) -> None:
    result = diagnose(evidence)
    assert said in result.verdict
    assert [one.cause for one in result.findings] == ["constant-input"]
    hidden = {one.cause: one for one in result.checked}
    for cause in ("leakage", "rate-too-low", "labels-shuffled", "under-fitting"):
        assert hidden[cause].outcome == "not checked"
        assert hidden[cause].because.startswith("Hidden by what was found: ")


def test_what_is_seen_without_images_is_told_beside_a_constant_input() -> None:
    evidence = guessed(BLACK, BLACK, BLACK, in_training_mode=("drop1",), params=10)
    hiding = apply_rule(evidence)
    assert isinstance(hiding, Finding)
    assert not {"classes-missing", "classes-unbalanced", "evaluation-mode"} & set(hiding.hides)


def test_a_cutout_that_covers_everything_is_changed_to_one_that_does_not() -> None:
    result = apply_rule(guessed(EVERY, READ, BLACK, blanked=1.0, kept=0.0, recipe=Recipe(cutout=56)))
    assert isinstance(result, Finding)
    off, smaller = (change.recipe(Recipe(cutout=56)).cutout for change in result.changes)
    assert (off, smaller) == (0, 7)
    assert "covers all of an image of 28 × 28" in result.explanation


def test_black_images_are_no_matter_of_the_recipe() -> None:
    result = apply_rule(guessed(BLACK, BLACK, BLACK))
    assert isinstance(result, Finding)
    assert not result.changes


def test_faint_images_that_were_learned_all_the_same_are_no_fault() -> None:
    """Standardized, shades of 0 and 1 are as good as any."""
    seen = Variation(stored=FAINT, plain=READ, augmented=READ, blanked=0.0, kept=1.0)
    quality = DataQuality(variation=seen, test_counts=(100,) * 10)
    assert isinstance(apply_rule(run(0.97, 0.96, quality=quality)), Negative)


def test_half_of_the_images_blanked_leaves_the_other_half_to_learn_from() -> None:
    assert isinstance(apply_rule(guessed(EVERY, READ, READ, blanked=0.57, kept=0.0)), Negative)


def test_a_run_of_an_earlier_version_is_not_judged_by_what_it_did_not_record() -> None:
    assert isinstance(apply_rule(healthy()), Inconclusive)
