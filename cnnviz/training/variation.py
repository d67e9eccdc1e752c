"""Image variation: whether images differ from each other, as they are stored and as the network reads them.

A constant input (black images, shades divided by 255 twice, a cutout as large as the image) carries nothing
to learn from, and no curve says so. The record is taken before the first step, on a sample bounded by bytes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnnviz.training.streamed import StreamedImages, portion

if TYPE_CHECKING:
    from cnnviz.training.material import Labelled
    from cnnviz.training.prepare import Preparation

SAMPLE = 256
"""Images that are looked at, at most: a share of them is known to three points."""
SAMPLE_STREAMED = 64
"""Of images that are decoded as they are needed."""
MOST_PIXELS = 1 << 16
"""Values of an image that are compared from image to image, evenly spaced where it has more."""
FLAT_SHADES = 1.0
"""Standard deviation, of 255 shades, below which an image shows nothing."""
FLAT_INPUT = 0.01
"""The same of a network's input, where standardised pixels have a deviation of 1 and unit pixels of about
0.3."""
BLANKED = 0.1
"""Of an image's own deviation: what augmentation left less of shows nothing any more."""


def variation(train: Labelled, preparation: Preparation | None = None) -> dict[str, Any] | None:
    """Measure how training images vary: `stored`, `plain`, `augmented`, `blanked` and `kept`.

    `stored` is in shades of 255, `plain` in the network's units without augmentation and `augmented` with it;
    the last two need `preparation`. Each has the number of `images` looked at and how many are `distinct`,
    the median standard deviation within an image (`within`), the deviation of a pixel from image to image,
    root mean square over the pixels (`between`), and the share of images that are `flat`. `blanked` is the
    share of images that augmentation leaves less than a tenth of their deviation, of those that had any, and
    `kept` the median share of an image's variance that it leaves. None where there are no images.
    """
    if not len(train):
        return None
    rows = _sample(train)
    stored, plain, augmented = _View(FLAT_SHADES), _View(FLAT_INPUT), _View(FLAT_INPUT)
    generator = torch.Generator(train.labels.device).manual_seed(0)
    judged = _one_view(preparation) if preparation else None
    for numbers in torch.split(rows, portion((_values(train, preparation),))):
        images = train.images[numbers]
        stored.add(images.float())
        if preparation and judged:
            plain.add(judged.test(images))
            augmented.add(preparation.train(images, numbers, 0, generator))
    found: dict[str, Any] = {"stored": stored.summary()}
    found |= dict.fromkeys(("plain", "augmented", "blanked", "kept"))
    if preparation:
        before, after = torch.cat(plain.deviations), torch.cat(augmented.deviations)
        shown = before > FLAT_INPUT
        left = after[shown] / before[shown]
        found |= {
            "plain": plain.summary(),
            "augmented": augmented.summary(),
            "blanked": float((left < BLANKED).double().mean()) if len(left) else None,
            "kept": float(left.square().median()) if len(left) else None,
        }
    return found


def _one_view(preparation: Preparation) -> Preparation:
    """The same without ten crops: an image as it is judged, once."""
    return replace(preparation, recipe=preparation.recipe.model_copy(update={"ten_crop": False}))


def _values(train: Labelled, preparation: Preparation | None) -> int:
    """Values of one image where it is largest: as stored, enlarged, or with a margin."""
    channels, height, width = train.images.shape[1:]
    if preparation is None:
        return channels * height * width
    recipe, (tall, wide) = preparation.recipe, preparation.side
    largest = max((recipe.crop_from or 0) ** 2, (tall + 2 * recipe.pad_crop) * (wide + 2 * recipe.pad_crop))
    return channels * max(height * width, largest)


def _sample(train: Labelled) -> Tensor:
    """Evenly spaced rows: classes that lie in a row all have their share."""
    most = SAMPLE_STREAMED if isinstance(train.images, StreamedImages) else SAMPLE
    count = min(most, len(train))
    return torch.linspace(0, len(train) - 1, count).round().long().to(train.labels.device)


class _View:
    """Sums over images `(B, C, H, W)` as they come; what is below `flat` counts as flat."""

    def __init__(self, flat: float) -> None:
        self._flat = flat
        self._count = 0
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None
        self._first: Tensor | None = None
        self._marks: set[int] = set()
        self.deviations: list[Tensor] = []

    def add(self, images: Tensor) -> None:
        self._count += len(images)
        self.deviations.append(images.flatten(1).std(1, correction=0).double().cpu())
        self._marks.update(hash(image.tobytes()) for image in images.cpu().contiguous().numpy())
        flat = images.flatten(1)
        values = flat[:, :: -(-flat.shape[1] // MOST_PIXELS)].double().cpu()
        # Differences from one image, not values: those of nearly equal images would cancel.
        self._first = values[:1].clone() if self._first is None else self._first
        apart = values - self._first
        sums, squares = apart.sum(0), apart.square().sum(0)
        self._sum = sums if self._sum is None else self._sum + sums
        self._squares = squares if self._squares is None else self._squares + squares

    def summary(self) -> dict[str, float | int]:
        assert self._sum is not None
        assert self._squares is not None
        deviations = torch.cat(self.deviations)
        variance = self._squares / self._count - (self._sum / self._count).square()
        return {
            "images": self._count,
            "distinct": len(self._marks),
            "within": float(deviations.median()),
            "between": math.sqrt(max(float(variance.mean()), 0.0)),
            "flat": float((deviations < self._flat).double().mean()),
        }
