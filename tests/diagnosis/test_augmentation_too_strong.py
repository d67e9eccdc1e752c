"""Augmentation too strong: by the arithmetic of the recipe, and by what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.diagnosis import Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import TrainEvaluated
from cnnviz.diagnosis.rules.data.augmentation import blanked, shifted, visible
from cnnviz.training import Recipe
from cnnviz.training.data.transforms import cutout, pad_crop
from tests.diagnosis.test_rules_of_data import run
from tests.diagnosis.well_formed import assert_well_formed


def apply_rule(learnt: float, held: float, **recipe: Any) -> Any:
    return rules()["augmentation-too-strong"].apply(run(learnt, held, recipe=Recipe(epochs=10, **recipe)))


def test_crops_from_a_margin_as_wide_as_the_image_are_named_first() -> None:
    evidence = run(
        0.42,
        0.7,
        recipe=Recipe(epochs=10, pad_crop=28),
        train_evaluated=TrainEvaluated(images=500, loss=1.0, accuracy=0.71),
    )
    finding = diagnose(evidence).findings[0]
    assert finding.cause == "augmentation-too-strong"
    assert "24 %" in finding.verdict
    assert finding.changes[0].values == {"pad_crop": 3}
    assert_well_formed(finding, evidence)


def test_a_short_run_is_given_no_augmentation_first_and_a_longer_one_the_usual() -> None:
    """Twenty layers that were given a margin of one pixel for seven epochs came to 78 of 92 %."""
    for epochs, first in ((7, 0), (30, 3)):
        recipe = Recipe(epochs=epochs, pad_crop=28)
        finding = rules()["augmentation-too-strong"].apply(run(0.42, 0.44, recipe=recipe))
        assert isinstance(finding, Finding)
        assert [change.values["pad_crop"] for change in finding.changes] == [first, 3 - first]


def test_both_low_is_found_too() -> None:
    assert isinstance(apply_rule(0.4, 0.42, cutout=40), Finding)


@pytest.mark.parametrize(
    ("recipe", "learnt", "held", "expected"),
    [
        ({"pad_crop": 4, "cutout": 8}, 0.4, 0.6, Negative),  # As is usual.
        ({"pad_crop": 28}, 0.8, 0.96, Negative),  # Strong, and it did no harm.
        ({"pad_crop": 28}, 0.8, 0.4, Negative),  # Training images are known better: it holds nothing back.
        ({}, 0.4, 0.6, Negative),
        ({"cutout": 56}, 0.1, 0.1, Inconclusive),  # Nothing is left at all, which is another cause.
    ],
)
def test_it_is_not_said_where_it_is_usual_or_did_no_harm(
    recipe: dict[str, int], learnt: float, held: float, expected: type
) -> None:
    assert isinstance(apply_rule(learnt, held, **recipe), expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 16), st.integers(1, 20), st.integers(1, 24))
def test_the_share_in_view_is_what_augmentation_leaves(side: int, margin: int, square: int) -> None:
    """Every place once, in place of the generator's draws."""
    images = torch.ones(4_000, 1, side, side)
    generator = torch.Generator().manual_seed(side)
    moved = float(pad_crop(images, margin, generator).mean())
    assert shifted(side, margin) ** 2 == pytest.approx(moved, abs=0.05)
    left = float(cutout(images, square, generator).mean())
    assert 1 - blanked(side, square) ** 2 == pytest.approx(left, abs=0.05)


def test_shares_multiply() -> None:
    seen = visible(Recipe(pad_crop=4, cutout=8), (28, 28))
    assert [name for name, _ in seen.factors] == ["pad_crop", "cutout"]
    assert seen.share == pytest.approx(float(np.prod([share for _, share in seen.factors])))
    assert visible(Recipe(crop_from=56), (28, 28)).share == pytest.approx(0.25)
    assert visible(Recipe(), (28, 28)).share == 1
