"""What looks wrong about a picture for this model, before it is asked: the same in pages, CLI and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.inference.images.preprocessing_trace import DIGIT_SHARE, ink_box, stored
from cnnviz.inference.images.read_image import Picture, Pixels

DARK, LIGHT = 80, 140
"""Means of pixels, from 0 to 255, below and above which pictures are called so."""
TINY = 0.25
FLAT = 8.0
"""Standard deviation of pixels below which there is next to nothing in a picture."""
OFF_CENTER, SMALL, LARGE = 2.5 / 28, 15 / 28, 23 / 28
"""Parts of a side: how far off the middle a digit's center of mass may lie, and its least and most length.

Of MNIST's 10,000 test images none lies more than 1.08 pixels off, and all are 17 to 20 long."""


class Hint(NamedTuple):
    """What is unlike the training images, and the preprocessing that would change it."""

    kind: str
    """`brightness`, `blank`, `resolution`, `size` or `position`."""
    text: str
    """A sentence or two."""
    change: str = ""
    """The field of `Preprocessing` to change; empty where none helps."""


def hints(picture: Picture, preprocessing: Preprocessing, centered: bool = False) -> tuple[Hint, ...]:
    """Compare a picture with what the model has seen; mostly there is nothing to say.

    Light and dark can be told only where `how` knows the training images' mean. `centered` says that they
    were centered as MNIST's digits (`DatasetSpec.centered`), so that size and position can be judged too.
    """
    return hints_of(stored(picture, preprocessing), picture.size, preprocessing, centered)


def hints_of(image: Pixels, size: Size, preprocessing: Preprocessing, centered: bool = False) -> tuple[Hint, ...]:
    """As `hints`, of a picture of `size` that was made `image`, uint8 `(C, H, W)`, as `steps.stored` does."""
    mean, hints = float(image.mean()), []
    if preprocessing.mean and preprocessing.scale != "unit-standardised":
        usual = sum(preprocessing.mean) / len(preprocessing.mean)
        if (usual < DARK and mean > LIGHT) or (usual > LIGHT and mean < DARK):
            tone, typical = ("light", "dark") if mean > LIGHT else ("dark", "light")
            change = "leave 'invert' off" if preprocessing.invert else "try 'invert'"
            text = (
                f"This picture is mostly {tone} (mean {mean:.0f}), and training images are mostly {typical} "
                f"(mean {usual:.0f}): {change}."
            )
            hints.append(Hint("brightness", text, "" if preprocessing.invert else "invert"))
    blank = bool(image.std() < FLAT)
    if blank:
        hints.append(Hint("blank", "There is next to nothing in what the model is shown of this picture."))
    height, width = size
    if min(height, width) < TINY * min(preprocessing.stored):
        text = f"This picture has {width}×{height} pixels and is enlarged: what comes in is a blur."
        hints.append(Hint("resolution", text))
    if centered and not hints and not preprocessing.centre:
        hints += _placed(image)
    return tuple(hints)


def grouped(hints: Iterable[tuple[str, tuple[Hint, ...]]]) -> list[tuple[Hint, int, str]]:
    """Count hints by kind, the commonest first: the first of each kind, how many, and the first one's name.

    `found` has the name of each picture and its hints.
    """
    kinds: dict[str, tuple[Hint, int, str]] = {}
    for name, image_hints in hints:
        for hint in image_hints:
            first, count, image_name = kinds.get(hint.kind, (hint, 0, name))
            kinds[hint.kind] = (first, count + 1, image_name)
    return sorted(kinds.values(), key=lambda group: -group[1])


def _placed(image: Pixels) -> list[Hint]:
    """What is unlike MNIST about the size and place of what is light."""
    pixels = image.transpose(1, 2, 0)
    box = ink_box(pixels)
    if box is None:
        return []
    height, width = pixels.shape[:2]
    side = max(height, width)
    length = max(box.bottom - box.top, box.right - box.left)
    usual = round(DIGIT_SHARE * side)
    if not SMALL <= length / side <= LARGE:
        text = (
            f"What is drawn is {length} of {side} pixels long, and in the training images {usual}: "
            "try 'centre', which cuts it out and brings it to that size."
        )
        return [Hint("size", text, "centre")]
    offset = np.array(box.middle) - [(height - 1) / 2, (width - 1) / 2]
    if np.abs(offset).max() > OFF_CENTER * side:
        text = (
            f"What is drawn lies {np.abs(offset).max():.0f} of {side} pixels off the middle, where the training "
            "images have it: try 'centre'."
        )
        return [Hint("position", text, "centre")]
    return []
