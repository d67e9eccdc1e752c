"""Input checks: differences between an image and the training images, for pages, CLI and JSON alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.inference.images.preprocessing_trace import DIGIT_SHARE, ink_box, stored_pixels
from cnnviz.inference.images.read_image import Picture

DARK, LIGHT = 80, 140
"""Mean pixel values, from 0 to 255, below and above which images are called dark and light."""
TINY = 0.25
FLAT = 8.0
"""Standard deviation of pixels below which an image is called blank."""
OFF_CENTER, SMALL, LARGE = 2.5 / 28, 15 / 28, 23 / 28
"""Limits as fractions of a side: a digit's offset from the center, its minimum and maximum length.

Of MNIST's 10,000 test images none is more than 1.08 pixels off, and all are 17 to 20 long.
"""


class Hint(NamedTuple):
    """Difference from the training images, and the preprocessing that would correct it."""

    kind: str
    """`brightness`, `blank`, `resolution`, `size` or `position`."""
    text: str
    """One or two sentences."""
    change: str = ""
    """Field of `Preprocessing` to change; empty where none helps."""


def hints(picture: Picture, preprocessing: Preprocessing, centered: bool = False) -> tuple[Hint, ...]:
    """Compare an image with the training images; mostly there are no hints.

    Brightness is compared only where `preprocessing` has the training images' mean. `centered` says that
    these were centered like MNIST's digits (`DatasetSpec.centered`), so that size and position are checked
    too.
    """
    return hints_of(stored_pixels(picture, preprocessing), picture.size, preprocessing, centered)


def hints_of(
    image: Pixels, size: Size, preprocessing: Preprocessing, centered: bool = False
) -> tuple[Hint, ...]:
    """Return the hints of an image of `size` that was stored as `image`, uint8 `(C, H, W)`."""
    mean, hints = float(image.mean()), []
    if preprocessing.mean and preprocessing.scale != "unit-standardised":
        usual = sum(preprocessing.mean) / len(preprocessing.mean)
        if (usual < DARK and mean > LIGHT) or (usual > LIGHT and mean < DARK):
            tone, typical = ("light", "dark") if mean > LIGHT else ("dark", "light")
            change = "leave 'invert' off" if preprocessing.invert else "try 'invert'"
            text = (
                f"This image is mostly {tone} (mean {mean:.0f}), and training images are mostly {typical} "
                f"(mean {usual:.0f}): {change}."
            )
            hints.append(Hint("brightness", text, "" if preprocessing.invert else "invert"))
    blank = bool(image.std() < FLAT)
    if blank:
        hints.append(Hint("blank", "There is next to nothing in what the model is shown of this image."))
    height, width = size
    if min(height, width) < TINY * min(preprocessing.stored):
        text = f"This image has {width}×{height} pixels and is enlarged: what comes in is a blur."
        hints.append(Hint("resolution", text))
    if centered and not hints and not preprocessing.centre:
        hints += _placed(image)
    return tuple(hints)


def grouped(hints: Iterable[tuple[str, tuple[Hint, ...]]]) -> list[tuple[Hint, int, str]]:
    """Count hints by kind, most frequent first: the first hint of a kind, the count, the first image's name.

    `hints` contains the name of each image and its hints.
    """
    kinds: dict[str, tuple[Hint, int, str]] = {}
    for name, image_hints in hints:
        for hint in image_hints:
            first, count, image_name = kinds.get(hint.kind, (hint, 0, name))
            kinds[hint.kind] = (first, count + 1, image_name)
    return sorted(kinds.values(), key=lambda group: -group[1])


def _placed(image: Pixels) -> list[Hint]:
    """Compare the size and position of the bright content with MNIST's."""
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
            "try 'center', which cuts it out and brings it to that size."
        )
        return [Hint("size", text, "centre")]
    offset = np.array(box.middle) - [(height - 1) / 2, (width - 1) / 2]
    if np.abs(offset).max() > OFF_CENTER * side:
        text = (
            f"What is drawn lies {np.abs(offset).max():.0f} of {side} pixels off the middle, where the "
            "training images have it: try 'center'."
        )
        return [Hint("position", text, "centre")]
    return []
