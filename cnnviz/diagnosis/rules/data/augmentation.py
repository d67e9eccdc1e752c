"""Rule on data augmentation so strong that training images show hardly anything of their content."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.alternative_networks import uses_augmentation
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import (
    ERRORS,
    AccuracySummary,
    accuracy_figure,
    accuracy_summary,
)
from cnnviz.diagnosis.finding import Bars, Change, CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.training.recipe import Recipe

# Visible fraction of an image under augmentation, computed from the recipe alone.


@dataclass(frozen=True)
class Visible:
    """Expected visible fraction of an image in a training step."""

    share: float
    factors: tuple[tuple[str, float], ...]
    """Recipe field and the mean fraction that it leaves."""


def visible(recipe: Recipe, side: tuple[int, int]) -> Visible:
    """Compute the expected visible fraction of an image at the model's input size."""
    result: list[tuple[str, float]] = []
    if recipe.pad_crop:
        result.append(("pad_crop", math.prod(shifted(length, recipe.pad_crop) for length in side)))
    elif recipe.crop_from:
        result.append(("crop_from", math.prod(min(1.0, length / recipe.crop_from) for length in side)))
    if recipe.cutout:
        result.append(("cutout", 1 - math.prod(blanked(length, recipe.cutout) for length in side)))
    return Visible(math.prod(share for _, share in result), tuple(result))


def shifted(length: int, margin: int) -> float:
    """Return the mean fraction of a side that stays in view when shifted by up to `margin` pixels."""
    visible_pixels = sum(max(0, length - abs(offset)) for offset in range(-margin, margin + 1))
    return float(Fraction(visible_pixels, (2 * margin + 1) * max(length, 1)))


def blanked(length: int, square: int) -> float:
    """Return the mean fraction of a side covered by a square whose center is uniform on it."""
    covered = 0
    for center in range(length):
        first, end = center - square // 2, center + square - square // 2
        covered += max(0, min(end, length) - max(first, 0))
    return float(Fraction(covered, max(length, 1) ** 2))


def side_of(evidence: Evidence) -> tuple[int, int]:
    """Return the model's input size, or the images' own where it is unknown."""
    if all(evidence.side):
        return evidence.side
    height, width = (evidence.data.shape[1:] or (0, 0))[:2] if len(evidence.data.shape) == 3 else (0, 0)
    return height, width


LITTLE, HARDLY = 0.5, 0.35
"""Mean visible fraction below which augmentation is strong, and very strong. CIFAR-10's usual crop with a
margin of 4 leaves 87 %, with a cutout of 16 as well 70 %; AlexNet's crop of 227 from 256 leaves 79 %.
"""
NOTHING = 0.02
"""Mean visible fraction below which the input is constant, a cause of its own."""
STRONG_COLOR = 1.0
"""Standard deviation of the AlexNet paper's color shift, ten times the paper's: colors are shifted as far as
they differ.
"""
STRONG_JITTER = 0.9
"""Strength of brightness and contrast jitter: with 1 some images are black, or flat."""
BEHIND = 0.1
"""Accuracy by which augmented training images are behind held-out ones."""
MILD = {"pca_jitter": 0.1, "colour_jitter": 0.2}
WORDS = {
    "pad_crop": "a crop from a margin of {value} pixels",
    "crop_from": "a crop from {value}×{value} pixels",
    "cutout": "a blanked square of {value} pixels",
}
SHORT = 10
"""Epochs below which even usual augmentation costs more than it brings, as it slows down fitting. Deep
networks with a margin of one pixel for seven epochs reached 85 % and 62 % of their accuracy without.
"""


@rule(
    "augmentation-too-strong",
    title="Augmentation too strong",
    summary="Training images are cropped, blanked or recolored until little of them can be recognized.",
    moves=dict.fromkeys(("pad_crop", "cutout", "crop_from", "pca_jitter", "colour_jitter"), "down"),
)
def augmentation_too_strong(evidence: Evidence) -> Outcome:
    """Detect augmentation that hides half of the image or more, in a run that does not fit its images."""
    recipe, now = evidence.recipe, accuracy_summary(evidence)
    if evidence.loop is not None:
        return _erased(evidence, now)
    if not uses_augmentation(recipe):
        return Negative("Images are shown as they are, without augmentation.")
    side = side_of(evidence)
    if not all(side):
        return Inconclusive("The size of the images was not recorded.")
    visibility = visible(recipe, side)
    recolored = _recolored(evidence)
    if visibility.share >= LITTLE and not recolored:
        return Negative(f"Augmentation leaves {percent(visibility.share)} of an image in view on average.")
    if visibility.share < NOTHING:
        return Inconclusive("Augmentation leaves nothing of the images: that is a constant input.")
    if now is None:
        return Inconclusive(
            "No epoch has ended yet, so nobody knows how well the training images are learned."
        )
    if now.well or now.fits_training:
        return Negative(
            f"Augmentation leaves {percent(visibility.share)} of an image, but "
            f"{percent(max(now.held_out_accuracy, now.train_accuracy))} of the images are known all the same."
        )
    if now.gap > max(BEHIND, ERRORS * now.error):
        return Negative(
            f"Even as they are shown, training images are known {100 * now.gap:.0f} points better than "
            "others."
        )
    return _finding(evidence, now, visibility, recolored)


def _erased(evidence: Evidence, now: AccuracySummary | None) -> Outcome:
    """Compare how much of an image has one value, in training and where a watched loop judges."""
    assert evidence.loop is not None
    shares = evidence.loop.images.uniform
    if "train" not in shares or "judged" not in shares or now is None:
        return Inconclusive("Training images and judged ones were not compared.")
    train, judged = shares["train"], shares["judged"]
    left = (1 - train) / max(1 - judged, 1e-9)
    if left >= LITTLE:
        return Negative(
            f"{percent(train)} of a training image has one value, and {percent(judged)} of a judged one."
        )
    if now.well or now.fits_training:
        return Negative(
            f"Of a training image {percent(left)} is left, but "
            f"{percent(max(now.held_out_accuracy, now.train_accuracy))} of the images are known all the same."
        )
    return Finding(
        cause="augmentation-too-strong",
        confidence=0.9 if left < HARDLY else 0.75,
        effect=max(0.5, now.lost),
        verdict=f"Training images are blanked: {percent(train)} of one has a single value, and "
        f"{percent(judged)} of one that is judged.",
        explanation=(
            "Augmentation shows images changed, so that the network learns what stays. Here about "
            f"{percent(left)} of what a judged image shows is left of a training image. A label on a part "
            f"that shows nothing of the object teaches noise: {percent(now.train_accuracy)} of the "
            f"training images are known as they are shown, and {percent(now.held_out_accuracy)} of the "
            f"{now.part} images."
        ),
        facts=(Fact("left of a training image", left, percent(left)), *now.facts),
        pictures=(accuracy_figure(evidence, "Accuracy as shown in training, and held out"),),
        fix=CodeFix(
            "Erase or cut away less of an image.",
            "transforms.RandomErasing(p=0.5, scale=(0.02, 0.2))\ntransforms.RandomResizedCrop(side, "
            "scale=(0.5, 1))",
        ),
        explains=(
            "under-fitting", "too-few-steps", "one-class", "rate-too-low", "rate-too-high", "labels-noisy",
            "labels-shuffled", "dead-relu", "unstable-training", "initialisation", "vanishing-gradients",
            "split-mismatch",
        ),
    )  # fmt: skip


def _finding(
    evidence: Evidence, now: AccuracySummary, visibility: Visible, recolored: tuple[str, ...]
) -> Finding:
    plain = evidence.train_evaluated
    gap = max(-now.gap, (plain.accuracy - now.train_accuracy) if plain else 0.0)
    held_back = gap > max(BEHIND, ERRORS * now.error)
    confidence = 0.9 if visibility.share < HARDLY else 0.75 if visibility.share < LITTLE else 0.65
    return Finding(
        cause="augmentation-too-strong",
        confidence=min(0.95, confidence + 0.05 * held_back),
        effect=max(0.5, now.lost),
        verdict=(
            f"Augmentation leaves {percent(visibility.share)} of a training image in view on average, so "
            "there is little to learn from."
            if visibility.share < LITTLE
            else "Augmentation changes the colors of training images as much as they differ."
        ),
        explanation="\n\n".join((
            "Augmentation shows images changed, so that the network learns what stays. What it learns has "
            "to be there still: a label on a part that shows nothing of the object teaches noise.",
            _arithmetic(evidence, visibility, recolored),
            _known(evidence, now),
        )),
        facts=(
            Fact("of an image in view, on average", visibility.share, percent(visibility.share)),
            *(Fact(f"'{name}' leaves", share, percent(share)) for name, share in visibility.factors),
            *now.facts,
            *((Fact("training images as they are", plain.accuracy, f"{percent(plain.accuracy, 1)} of "
                    f"{plain.images:,}"),) if plain else ()),
        ),
        pictures=(_picture(visibility), accuracy_figure(evidence, "Accuracy as shown in training, and held "
            "out")),
        ruled_out=(
            f"Over-fitting: training images, as they are shown, are known to {percent(now.train_accuracy)}, "
            f"and others to {percent(now.held_out_accuracy)}.",
        ),
        changes=fixes.applicable_changes(_weaker(evidence, visibility, recolored), evidence.recipe),
        explains=(
            "under-fitting", "too-few-steps", "one-class", "rate-too-low", "rate-too-high", "labels-noisy",
            "labels-shuffled", "dead-relu", "unstable-training", "initialisation", "vanishing-gradients",
        ),
    )  # fmt: skip


def _arithmetic(evidence: Evidence, visibility: Visible, recolored: tuple[str, ...]) -> str:
    recipe, (height, width) = evidence.recipe, side_of(evidence)
    parts = [
        f"{WORDS[name].format(value=getattr(recipe, name))} leaves {percent(share)} of the area"
        for name, share in visibility.factors
    ]
    text = f"At {height}×{width} pixels {', and '.join(parts)}, on average over all places" if parts else ""
    if recipe.pad_crop and parts:
        sides = [percent(shifted(length, recipe.pad_crop)) for length in (height, width)]
        text += (
            f": moved by up to {recipe.pad_crop} pixels either way, a side of {height} keeps {sides[0]} in "
            f"view on average, and both sides {' · '.join(sides)}"
        )
    product = " · ".join(percent(share) for _, share in visibility.factors)
    text += (
        f". Together that is {product} = {percent(visibility.share)}."
        if len(parts) > 1
        else "." * bool(parts)
    )
    colors = "; ".join(
        f"'{name}' is {getattr(recipe, name):g}, where {MILD[name]:g} is usual" for name in recolored
    )
    return f"{text}{' ' * bool(text and colors)}{colors}{'.' * bool(colors)}"


def _known(evidence: Evidence, now: AccuracySummary) -> str:
    plain = evidence.train_evaluated
    plain_text = (
        f" As they are, without augmentation and dropout, {percent(plain.accuracy, 1)} of {plain.images:,} "
        "training images are known."
        if plain
        else ""
    )
    return (
        f"As they are shown, {percent(now.train_accuracy, 1)} of the training images are known, and "
        f"{percent(now.held_out_accuracy, 1)} of the {now.part} images, which are shown whole.{plain_text}"
    )


def _recolored(evidence: Evidence) -> tuple[str, ...]:
    recipe = evidence.recipe
    fields = ("pca_jitter",) if recipe.pca_jitter >= STRONG_COLOR and evidence.data.shape[:1] == (3,) else ()
    return (*fields, "colour_jitter") if recipe.colour_jitter >= STRONG_JITTER else fields


def _weaker(evidence: Evidence, visibility: Visible, recolored: tuple[str, ...]) -> list[Change]:
    side = min(side_of(evidence))
    usual: dict[str, Any] = {"pad_crop": max(1, side // 8), "cutout": side // 4, "crop_from": side * 8 // 7}
    values = {
        name: usual[name] for name, _ in visibility.factors if getattr(evidence.recipe, name) > usual[name]
    }
    values |= {name: MILD[name] for name in recolored}
    left = visible(evidence.recipe.model_copy(update=values), side_of(evidence)).share
    none = {name: 0 for name in values if name != "crop_from"}
    usually = Change(values, f"The usual strength: it leaves {percent(left)} of an image in view on average.")
    if not none:
        return [usually]
    if evidence.recipe.epochs < SHORT and none.keys() == values.keys():
        reason = f"No such augmentation at all: in {evidence.recipe.epochs} epochs no image is memorized."
        return [Change(none, reason), usually]
    return [usually, Change(none, "No such augmentation at all, to see what the images teach.")]


def _picture(visibility: Visible) -> Bars:
    shares = [*visibility.factors, ("together", visibility.share)]
    return Bars(
        title="How much of a training image is in view, on average",
        names=tuple(name for name, _ in shares),
        values={"in view": tuple(share for _, share in shares)},
        y_label="share of the area",
        marked=("together",),
        percent=True,
        alt=f"{percent(visibility.share)} of an image is in view.",
    )
