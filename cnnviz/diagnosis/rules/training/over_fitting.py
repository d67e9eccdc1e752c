"""Rules on overfitting by its usual causes: too few images, no augmentation, too large a network."""

from __future__ import annotations

import math

from cnnviz.diagnosis import exclusions
from cnnviz.diagnosis.alternative_networks import uses_augmentation
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.generalization import RISEN, generalization_gap, held_out_loss
from cnnviz.diagnosis.evidence.learning_curves import (
    AccuracySummary,
    above_chance_on_test,
    accuracy_figure,
    accuracy_summary,
    has_risen,
    loss_figure,
    neighbors_agree,
)
from cnnviz.diagnosis.finding import Bars, CodeFix, Fact, Finding
from cnnviz.diagnosis.fixes import (
    add_augmentation,
    available_images,
    describe_augmented_variants,
    smaller_network,
    use_all_images,
)
from cnnviz.diagnosis.numbers import counted, fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.batch_norm import slowest, unsettled

UNKNOWN_NUMBER = 0.75
"""Confidence in too few images where only the gap is known, and not how many there are."""
SETTLED = 30
"""Steps after which running statistics with momentum 0.1 are to 1 − 0.9³⁰ = 96 % from the data."""
FEW = 30
"""Images per class: below that it is few-shot learning, where what a class has in common cannot be told from
what these few have.
"""
MANY_WEIGHTS = 2_000
"""Parameters per image. The AlexNet of 2012 had 60 million for 1.2 million images, 50 for each, and needed
dropout and augmentation; CIFAR-10's usual networks have some 200.
"""
MANY_UNSHARED = 100
"""The same without convolutions: with no weight shared between positions, what is learned at one has to be
learned again at every other, from images that show it there (LeCun et al., 1989).
"""


@rule(
    "over-fitting-data",
    title="Over-fitting: too few images",
    summary="The few training images are memorized, others are not recognized.",
    moves={"images": "up"},
)
def too_few_images(evidence: Evidence) -> Outcome:
    """Detect overfitting with few images per class, or with fewer than available."""
    now = _gap(evidence)
    if not isinstance(now, AccuracySummary):
        return now
    if not evidence.data.train:
        return _unknown_number(evidence, now)
    each = evidence.data.train / evidence.classes
    limited, total = evidence.recipe.limit is not None, available_images(evidence)
    if each <= FEW:
        confidence = 0.92
    elif limited and total > 2 * evidence.data.train:
        # More images are available, which helps whatever other cause there is.
        confidence = 0.87 if not _heavy(evidence) else 0.55
    else:
        return Negative(f"There are {short(each)} images of each class, more than {FEW}.")
    advice = (
        f"There are {total:,}, of which 'limit' takes {evidence.data.train:,}."
        if limited
        else "All that there are were used: only more images, or augmentation, can fix it."
    )
    return Finding(
        cause="over-fitting-data",
        confidence=confidence,
        effect=_effect(now),
        verdict=(
            f"{evidence.data.train:,} training images are too few: {percent(now.train_accuracy)} of them "
            f"are known, but only {percent(now.held_out_accuracy)} of the {now.part} images."
        ),
        explanation=(
            f"{_by_heart(evidence, now)}\n\nWith {evidence.data.train:,} images of {evidence.classes} "
            f"classes there are {short(each)} to learn a class from. A stroke or a shade that happens to be "
            f"common to those {short(each)} serves as well as what makes the class, and is easier to find. "
            f"{advice}"
        ),
        facts=(
            Fact("training images of a class", each, f"{short(each)}"),
            Fact("gap", now.gap, f"{100 * now.gap:.1f} points"),
            *now.facts,
        ),
        pictures=(
            accuracy_figure(evidence, "Training and held-out accuracy"),
            loss_figure(evidence, "Loss, and the gap"),
        ),
        ruled_out=_ruled_out(evidence, now),
        changes=(*use_all_images(evidence), *add_augmentation(evidence)),
    )


def _unknown_number(evidence: Evidence, now: AccuracySummary) -> Finding:
    """Return the finding for a history that does not say how many training images there were."""
    return Finding(
        cause="over-fitting-data",
        confidence=UNKNOWN_NUMBER,
        effect=_effect(now),
        verdict=(
            f"It over-fits: {percent(now.train_accuracy)} of the training images are known, but only "
            f"{percent(now.held_out_accuracy)} of the {now.part} images. How many there are is not known."
        ),
        explanation=(
            f"{_by_heart(evidence, now)}\n\nThe training images are too few for this network, or too much "
            "alike. Which of both, and whether the network is too large, their number would tell: more "
            "images help in each case, and so do images that are shown changed (augmentation)."
        ),
        facts=(Fact("gap", now.gap, f"{100 * now.gap:.1f} points"), *now.facts),
        pictures=(
            accuracy_figure(evidence, "Training and held-out accuracy"),
            loss_figure(evidence, "Loss, and the gap"),
        ),
        ruled_out=_ruled_out(evidence, now),
        fix=CodeFix("Use more training images, or show them changed (augmentation)."),
    )


@rule(
    "over-fitting-augmentation",
    title="Over-fitting: no augmentation",
    summary="Every image is seen unchanged in every epoch, so it can be memorized.",
)
def no_augmentation(evidence: Evidence) -> Outcome:
    """Detect overfitting with enough images, but without augmentation."""
    now = _gap(evidence)
    if not isinstance(now, AccuracySummary):
        return now
    if uses_augmentation(evidence.recipe):
        return Negative("Images are shown changed, another way in each epoch.")
    epochs = evidence.recipe.epochs
    confidence = 0.55 if evidence.data.train / evidence.classes <= FEW or _heavy(evidence) else 0.85
    return Finding(
        cause="over-fitting-augmentation",
        confidence=confidence,
        effect=_effect(now),
        verdict=(
            f"Without augmentation the same {evidence.data.train:,} images came {counted(epochs, 'time')}: "
            f"{percent(now.train_accuracy)} of them are known, but only {percent(now.held_out_accuracy)} of "
            f"the {now.part} images."
        ),
        explanation=(
            f"{_by_heart(evidence, now)}\n\nThe network saw every image {counted(epochs, 'time')}, always "
            "the "
            f"same pixel by pixel. {describe_augmented_variants(evidence)} What a class is does not change "
            "when the image moves by some pixels; a network that is shown such changes has to learn what "
            "stays."
        ),
        facts=(
            Fact("times each image was seen", epochs, f"{epochs}, unchanged"),
            Fact("gap", now.gap, f"{100 * now.gap:.1f} points"),
            *now.facts,
        ),
        pictures=(
            accuracy_figure(evidence, "Training and held-out accuracy"),
            loss_figure(evidence, "Loss, and the gap"),
        ),
        ruled_out=_ruled_out(evidence, now),
        changes=add_augmentation(evidence),
    )


@rule(
    "over-fitting-model",
    title="Over-fitting: too large a network",
    summary="The network has so many weights that it keeps each image instead of what images share.",
    moves={"params": "down"},
)
def too_large(evidence: Evidence) -> Outcome:
    """Detect overfitting with thousands of parameters per image."""
    now = _gap(evidence)
    if not isinstance(now, AccuracySummary):
        return now
    if not evidence.data.train or not evidence.params:
        return Inconclusive("How many weights and training images there are is not known.")
    each = evidence.params / max(evidence.data.train, 1)
    if not _heavy(evidence):
        return Negative(
            f"There are {short(each)} weights for each training image, less than {_many(evidence):,}."
        )
    few_images = evidence.data.train / evidence.classes <= FEW
    largest = max(evidence.weighted(), key=lambda layer: layer.params, default=None)
    share = largest.params / max(evidence.params, 1) if largest else 0.0
    largest_text = (
        f" '{largest.name}' alone has {largest.params:,}, {percent(share)} of them: a fully connected layer "
        "learns each pixel's place anew, where a convolution shares its weights among all places."
        if largest and largest.kind == "fc"
        else ""
    )
    return Finding(
        cause="over-fitting-model",
        confidence=0.55 if few_images else 0.88,
        effect=_effect(now),
        verdict=(
            f"{evidence.params:,} weights for {evidence.data.train:,} images are too many: "
            f"{percent(now.train_accuracy)} of the training images are known, but only "
            f"{percent(now.held_out_accuracy)} of the "
            f"{now.part} images."
        ),
        explanation=(
            f"{_by_heart(evidence, now)}\n\n{evidence.params:,} weights / {evidence.data.train:,} images = "
            f"{short(each)} for each image, which itself has {math.prod(evidence.data.shape):,} values: "
            f"there is room to keep every one of them.{largest_text}"
        ),
        facts=(
            Fact("weights for each image", each, f"{short(each)}"),
            Fact("gap", now.gap, f"{100 * now.gap:.1f} points"),
            *now.facts,
        ),
        pictures=(*_weights(evidence), accuracy_figure(evidence, "Training and held-out accuracy")),
        layers=(largest.name,) if largest and share > 0.5 else (),
        ruled_out=_ruled_out(evidence, now),
        changes=(*smaller_network(evidence), *add_augmentation(evidence)),
    )


def _gap(evidence: Evidence) -> AccuracySummary | Outcome:
    """Return the accuracies, if there is a gap to explain; else a negative or inconclusive result."""
    now = accuracy_summary(evidence)
    if now is None:
        return Inconclusive("No epoch has ended yet, so training and held-out images cannot be compared.")
    if unsettled(evidence) or (evidence.step < SETTLED and _normalized(evidence)):
        return Inconclusive(
            f"After {evidence.step:,} steps batch normalization still evaluates held-out images with "
            "statistics that have not settled."
        )
    gap = generalization_gap(evidence, now)
    if now.gap < max(gap.least, 3 * now.error) or not gap.wide:
        turned = "has risen" if gap.turned_up else "does not rise"
        return Negative(
            f"{percent(now.train_accuracy)} in training and {percent(gap.held_out)} on other images, whose "
            f"loss {turned}: a gap of {max(0.0, 100 * gap.gap):.0f} points costs little."
        )
    if not gap.certain:
        return Inconclusive(
            f"The gap of {100 * gap.gap:.1f} points is as large as over-fitting begins with "
            f"({100 * gap.least:.0f}), but {gap.images:,} images tell it to {100 * gap.tolerance:.1f} points "
            "only."
        )
    if now.at_chance and not _labels_belong(evidence):
        return Inconclusive(f"The {now.part} images are only guessed, which over-fitting does not explain.")
    return now


def _normalized(evidence: Evidence) -> bool:
    """Return whether there is batch normalization of unknown momentum, for which the usual one is assumed."""
    return slowest(evidence) is None and any("BatchNorm" in layer.type for layer in evidence.layers)


def _labels_belong(evidence: Evidence) -> bool:
    """Return whether labels are no reason for chance level: they are sound, or images too few."""
    neighbors = evidence.quality.neighbours
    labels_sound = above_chance_on_test(evidence) or (neighbors is not None and neighbors_agree(neighbors))
    return labels_sound or evidence.data.train <= FEW * evidence.classes


def _effect(now: AccuracySummary) -> float:
    """Return the gap: the held-out accuracy that could be gained."""
    return min(1.0, max(0.1, now.gap))


def _by_heart(evidence: Evidence, now: AccuracySummary) -> str:
    held, rises = held_out_loss(evidence, now), ""
    if has_risen(held, RISEN):
        best = held.values.index(min(held.values))
        rises = (
            f" Since step {held.steps[best]:,} the loss on {now.part} images has risen from "
            f"{fixed(held.values[best], 3)} to {fixed(held.values[-1], 3)}, while the training loss went on "
            "falling."
        )
    return (
        f"Of the images it learns from the network knows {percent(now.train_accuracy, 1)}, of others "
        f"{percent(now.held_out_accuracy, 1)}: the gap is {100 * now.gap:.1f} points, "
        f"{now.gap / max(now.error, 1e-9):.0f} standard errors of √({now.held_out_accuracy:.2f} · "
        f"{1 - now.held_out_accuracy:.2f} / "
        f"{now.images:,}) = {100 * now.error:.1f} points.{rises}"
    )


def _ruled_out(evidence: Evidence, now: AccuracySummary) -> tuple[str, ...]:
    text = (
        [f"Under-fitting: the training images are known to {percent(now.train_accuracy)}."]
        if now.fits_training
        else []
    )
    return (*text, *exclusions.rule_out_shuffled_labels(evidence.quality.neighbours))


def _heavy(evidence: Evidence) -> bool:
    return evidence.params >= _many(evidence) * max(evidence.data.train, 1)


def _many(evidence: Evidence) -> int:
    """Return the parameters per image from which a network counts as too large."""
    shared = not evidence.layers or any(layer.kind == "conv" for layer in evidence.layers)
    return MANY_WEIGHTS if shared else MANY_UNSHARED


def _weights(evidence: Evidence) -> tuple[Bars, ...]:
    layers = evidence.weighted()
    if not layers:
        return ()
    largest = max(layers, key=lambda layer: layer.params)
    return (
        Bars(
            title="Weights of each layer",
            names=tuple(layer.name for layer in layers),
            values={"weights": tuple(float(layer.params) for layer in layers)},
            y_label="weights",
            reference=("training images", float(evidence.data.train)),
            marked=(largest.name,),
            alt=f"'{largest.name}' has {largest.params:,} weights.",
        ),
    )
