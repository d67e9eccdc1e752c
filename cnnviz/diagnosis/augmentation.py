"""How much of an image augmentation leaves to be seen, worked out from the recipe alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.training.recipe import Recipe


@dataclass(frozen=True)
class Visible:
    """The expected share of the image that a training step sees, and how it comes about."""

    share: float
    factors: tuple[tuple[str, float], ...]
    """What each step leaves on average, with its recipe field."""


def visible(recipe: Recipe, side: tuple[int, int]) -> Visible:
    """Work out the expected visible share of an image at the model's input size."""
    found: list[tuple[str, float]] = []
    if recipe.pad_crop:
        found.append(("pad_crop", math.prod(shifted(length, recipe.pad_crop) for length in side)))
    elif recipe.crop_from:
        found.append(("crop_from", math.prod(min(1.0, length / recipe.crop_from) for length in side)))
    if recipe.cutout:
        found.append(("cutout", 1 - math.prod(blanked(length, recipe.cutout) for length in side)))
    return Visible(math.prod(share for _, share in found), tuple(found))


def shifted(length: int, margin: int) -> float:
    """Return the mean share of a side that stays in view when it is moved by up to `margin` pixels."""
    moved = sum(max(0, length - abs(offset)) for offset in range(-margin, margin + 1))
    return float(Fraction(moved, (2 * margin + 1) * max(length, 1)))


def blanked(length: int, square: int) -> float:
    """Return the mean share of a side that a square covers whose center is anywhere on it."""
    covered = 0
    for center in range(length):
        first, end = center - square // 2, center + square - square // 2
        covered += max(0, min(end, length) - max(first, 0))
    return float(Fraction(covered, max(length, 1) ** 2))


def side_of(evidence: Evidence) -> tuple[int, int]:
    """Return the model's input size, or the images' own where it is not known."""
    if all(evidence.side):
        return evidence.side
    height, width = (evidence.data.shape[1:] or (0, 0))[:2] if len(evidence.data.shape) == 3 else (0, 0)
    return height, width
