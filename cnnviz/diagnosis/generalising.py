"""What helps against over-fitting, as recipe changes: more images, shown changed, or a smaller network."""

from __future__ import annotations

import math

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change
from cnnviz.diagnosis.networks import SMALLER, augments, registered, small_network


def mirrors(evidence: Evidence) -> bool:
    """Whether a mirror image is of the same class: not with digits and letters, and who knows in grey."""
    return evidence.data.shape[:1] == (3,) and not all(len(name) == 1 for name in evidence.data.classes)


def _margin(evidence: Evidence) -> int:
    """An eighth of the side, 4 of CIFAR-10's 32 pixels, as is usual there."""
    return max(1, min(evidence.side or (8, 8)) // 8)


def forms(evidence: Evidence) -> str:
    """How many forms of an image augmentation would show, in a sentence or two."""
    margin = _margin(evidence)
    places = (2 * margin + 1) ** 2
    twice = 2 if mirrors(evidence) else 1
    mirrored = " and its mirror image" if twice == 2 else ""
    return (
        f"Padded by {margin} pixels and cut again at random it has (2·{margin} + 1)² = {places} places"
        f"{mirrored}: {twice * places:,} forms in place of 1."
    )


def available(evidence: Evidence) -> int:
    """Training images that there are; in older runs worked out, as the validation part is a known share."""
    share = evidence.recipe.validation
    if evidence.data.available is not None:
        return evidence.data.available
    if not share or not evidence.data.validation:
        return evidence.data.train
    return round(evidence.data.validation / share * (1 - share))


def all_images(evidence: Evidence) -> tuple[Change, ...]:
    """Without `limit`, where it leaves images out."""
    recipe, whole = evidence.recipe, available(evidence)
    known = evidence.data.available is not None or recipe.validation
    if recipe.limit is None or (known and whole <= evidence.data.train):
        return ()
    # About as many steps as before, but three epochs at least.
    epochs = max(3, math.ceil(evidence.total_steps * recipe.batch_size / max(whole, evidence.data.train)))
    changed: dict[str, object] = {"limit": None}
    if known and epochs < recipe.epochs and epochs >= recipe.warmup_epochs:
        changed["epochs"] = epochs
    return (Change(changed, "Learn from all training images, with about as many steps."),)


def augmentation(evidence: Evidence) -> tuple[Change, ...]:
    """Images moved, and mirrored where that leaves the class as it is; where nothing is done yet."""
    if augments(evidence.recipe):
        return ()
    values: dict[str, object] = {"pad_crop": _margin(evidence)}
    words = "Move every image a little"
    if mirrors(evidence):
        values["flip"], words = "random", f"{words} and mirror half of them"
    return (Change(values, f"{words}, another way each time it is seen."),)


def smaller(evidence: Evidence) -> tuple[Change, ...]:
    """The next smaller registered network, or two convolutions in place of a layer list."""
    recipe, shape = evidence.recipe, evidence.data.shape
    if recipe.layers is None:
        name = SMALLER.get(recipe.model)
        return (
            (Change(registered(name), f"{name}, the next smaller network for such images."),) if name else ()
        )
    if len(shape) != 3 or min(shape[1:]) < 8:
        return ()
    channels, height, width = shape
    network = small_network((channels, height, width), evidence.classes)
    return (Change(network, "Two convolutions and one fully connected layer: few weights, and shared ones."),)
