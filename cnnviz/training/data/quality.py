"""Data-quality report of a run's images, made before the first step and stored as the record `census`.

All of it is cheap enough to be made for every run, and answers what no curve can: whether test images are
learnt from, whether labels have to do with images, and whether the images are as sharp as they are large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.data.near_duplicates import near_duplicates
from cnnviz.training.data.tensors import DataModule, Labelled, StreamedImages, portion
from cnnviz.training.metrics import png

if TYPE_CHECKING:
    from cnnviz.training.data.transforms import Transform

# Image variation: whether images differ from each other, as they are stored and as the network reads them.
#
# A constant input (black images, shades divided by 255 twice, a cutout as large as the image) carries
# nothing to learn from, and no curve says so. The record is taken before the first step, on a sample
# bounded by bytes.

VARIATION_SAMPLE = 256
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


def variation(train: Labelled, transform: Transform | None = None) -> dict[str, Any] | None:
    """Measure how training images vary: `stored`, `plain`, `augmented`, `blanked` and `kept`.

    `stored` is in shades of 255, `plain` in the network's units without augmentation and `augmented` with it;
    the last two need `transform`. Each has the number of `images` looked at and how many are `distinct`,
    the median standard deviation within an image (`within`), the deviation of a pixel from image to image,
    root mean square over the pixels (`between`), and the share of images that are `flat`. `blanked` is the
    share of images that augmentation leaves less than a tenth of their deviation, of those that had any, and
    `kept` the median share of an image's variance that it leaves. None where there are no images.
    """
    if not len(train):
        return None
    rows = _variation_sample(train)
    stored, plain, augmented = _View(FLAT_SHADES), _View(FLAT_INPUT), _View(FLAT_INPUT)
    generator = torch.Generator(train.labels.device).manual_seed(0)
    judged = _one_view(transform) if transform else None
    for numbers in torch.split(rows, portion((_values(train, transform),))):
        images = train.images[numbers]
        stored.add(images.float())
        if transform and judged:
            plain.add(judged.test(images))
            augmented.add(transform.train(images, numbers, 0, generator))
    facts: dict[str, Any] = {"stored": stored.summary()}
    facts |= dict.fromkeys(("plain", "augmented", "blanked", "kept"))
    if transform:
        before, after = torch.cat(plain.deviations), torch.cat(augmented.deviations)
        shown = before > FLAT_INPUT
        left = after[shown] / before[shown]
        facts |= {
            "plain": plain.summary(),
            "augmented": augmented.summary(),
            "blanked": float((left < BLANKED).cpu().double().mean()) if len(left) else None,
            "kept": float(left.square().median()) if len(left) else None,
        }
    return facts


def _one_view(transform: Transform) -> Transform:
    """The same without ten crops: an image as it is judged, once."""
    return replace(transform, recipe=transform.recipe.model_copy(update={"ten_crop": False}))


def _values(train: Labelled, transform: Transform | None) -> int:
    """Values of one image where it is largest: as stored, enlarged, or with a margin."""
    channels, height, width = train.images.shape[1:]
    if transform is None:
        return channels * height * width
    recipe, (tall, wide) = transform.recipe, transform.side
    largest = max((recipe.crop_from or 0) ** 2, (tall + 2 * recipe.pad_crop) * (wide + 2 * recipe.pad_crop))
    return channels * max(height * width, largest)


def _variation_sample(train: Labelled) -> Tensor:
    """Evenly spaced rows: classes that lie in a row all have their share."""
    most = SAMPLE_STREAMED if isinstance(train.images, StreamedImages) else VARIATION_SAMPLE
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
        self.deviations.append(images.flatten(1).std(1, correction=0).cpu().double())
        self._marks.update(hash(image.tobytes()) for image in images.cpu().contiguous().numpy())
        flat = images.flatten(1)
        values = flat[:, :: -(-flat.shape[1] // MOST_PIXELS)].cpu().double()
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
            "flat": float((deviations < self._flat).cpu().double().mean()),
        }


PAIRS = 4
"""Repeated images that are kept to be looked at."""
NEIGHBOURS = 5
SAMPLE = 2000
"""Images among which neighbours are looked for: a share of their 10,000 pairs is known to a point or so."""
DETAILED = 200
"""Images whose detail is looked at."""
MOST_CLASSES = 200
"""Up to which it is looked at which class resembles which."""
SIDE = 16
"""Pixels that images are reduced to before they are compared: place and shade count, detail does not."""


def dataset_report(data_module: DataModule, transform: Transform | None = None) -> dict[str, Any]:
    """Report the quality of a data set: class counts, duplicates, label agreement of neighbours, variation.

    `test_counts` and `validation_counts` count each class; every other entry is what the function of that
    name below returns. Without `transform`, `variation` looks at images only as they are stored.

    `neighbours_in_colour` is of images that the model reads in grey. None stands for what was not looked at:
    most of it where images are decoded as they are needed.
    """
    classes, train, test = len(data_module.classes), data_module.train, data_module.test
    streams = isinstance(train.images, StreamedImages)
    outlined = None if streams else Outlined.of(train)
    return {
        "test_counts": test.labels.bincount(minlength=classes).tolist(),
        "validation_counts": data_module.validation.labels.bincount(minlength=classes).tolist(),
        "repeats": repeats(data_module),
        "neighbours": outlined.neighbours(classes) if outlined else None,
        "neighbours_of_test": neighbours_of_test(test, outlined, classes) if outlined else None,
        "neighbours_in_colour": data_module.coloured and neighbours(data_module.coloured, classes),
        "detail": None if streams else detail(train.images[:DETAILED]),
        "variation": variation(train, transform),
        "near_duplicates": near_duplicates(test, train),
        "resembled": resembled(test, outlined, classes) if outlined else None,
    }


def repeats(data_module: DataModule) -> dict[str, Any] | None:
    """How many images occur twice, pixel by pixel; None for images that are decoded as they are needed.

    `test` and `validation` count their images that are among the training images too, `train` those that
    repeat an earlier one, `conflicting` the test images whose label there is another. `pairs` shows some.
    """
    parts = (data_module.train, data_module.validation, data_module.test)
    if any(isinstance(part.images, StreamedImages) for part in parts):
        return None
    known: dict[int, int] = {}
    for row, mark in enumerate(marks(data_module.train)):
        known.setdefault(mark, row)
    pairs = [(row, known[mark]) for row, mark in enumerate(marks(data_module.test)) if mark in known]
    truth, learnt = data_module.test.labels.tolist(), data_module.train.labels.tolist()
    return {
        "test": len(pairs),
        "validation": sum(mark in known for mark in marks(data_module.validation)),
        "train": len(data_module.train) - len(known),
        "conflicting": sum(truth[row] != learnt[twin] for row, twin in pairs),
        "pairs": [
            {
                "test": row,
                "train": twin,
                "labels": [truth[row], learnt[twin]],
                "png": png(data_module.test.images[row : row + 1][0].cpu()),
            }
            for row, twin in pairs[:PAIRS]
        ],
    }


def marks(part: Labelled) -> list[int]:
    """A number of each image, the same where all pixels are and else with a chance of about 2⁻⁶⁴.

    Python's hash of its bytes (SipHash), on the CPU: for 60,000 images that takes a twentieth of a second.
    """
    return [hash(image.tobytes()) for image in part.images[:].cpu().flatten(1).numpy()]


@dataclass(frozen=True)
class Outlined:
    """A sample of labelled images, as `outline` has them, and which of them are most like each."""

    vectors: Tensor
    labels: Tensor
    near: Tensor
    """The `NEIGHBOURS` others most like each, nearest first: rows, int64 `(N, NEIGHBOURS)`."""
    likeness: Tensor
    """Of the nearest, cosine in [-1, 1], `(N,)`."""

    @classmethod
    def of(cls, part: Labelled) -> Outlined | None:
        """At most `SAMPLE` images of `part`; None where it has fewer than 20."""
        if len(part) < 4 * NEIGHBOURS:
            return None
        vectors, labels = _sample(part)
        likeness = vectors @ vectors.T
        likeness.fill_diagonal_(-torch.inf)
        top = likeness.topk(NEIGHBOURS, dim=1)
        return cls(vectors, labels, top.indices, top.values[:, 0])

    def neighbours(self, classes: int) -> dict[str, Any]:
        """As the function `neighbours` tells."""
        return _agreement(self.labels, self, self.near, classes)


def neighbours(train: Labelled, classes: int) -> dict[str, Any] | None:
    """How often an image's nearest neighbours have its label, and how often any other image has.

    `share` is over the `NEIGHBOURS` nearest of each of `images` images (cosine between what is left of the
    pixels at `SIDE`×`SIDE` without their mean), `chance` is over all pairs: Σ p² of the classes' shares.
    None for fewer than 20 images.
    """
    outlined = Outlined.of(train)
    return outlined.neighbours(classes) if outlined else None


def neighbours_of_test(test: Labelled, train: Outlined, classes: int) -> dict[str, Any] | None:
    """How often the training images nearest to a test image have its label.

    `share`, `images` and `each` as `neighbours` has them, `chance` is Σ p·p′ of the classes' shares in both
    parts. `nearer` is the part of the test images whose nearest training image is nearer than half of the
    training images have theirs: 1/2 where both parts are of one source. `confusion`, for at most
    `MOST_CLASSES` classes, counts the neighbors: row the test image's label, column the neighbor's. None for
    fewer than 20 test images.
    """
    if len(test) < 4 * NEIGHBOURS:
        return None
    vectors, labels = _sample(test)
    top = (vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1)
    nearer = top.values[:, 0] > train.likeness.median()
    agreement = _agreement(labels, train, top.indices, classes) | {
        "nearer": float(nearer.cpu().double().mean())
    }
    if classes > MOST_CLASSES:
        return agreement
    pairs = labels[:, None] * classes + train.labels[top.indices]
    counts = pairs.flatten().bincount(minlength=classes**2).reshape(classes, classes)
    return agreement | {"confusion": counts.tolist()}


def resembled(test: Labelled, train: Outlined, classes: int) -> list[dict[str, Any]] | None:
    """Which training class the test images of each class look like: elsewhere, labels were mixed up.

    For each class that has test images: `label`, how many `images` were compared, the class `like` that most
    of their `NEIGHBOURS` nearest training images have, and its `share` of these. None for fewer than 20 test
    images, and for more than `MOST_CLASSES` classes.
    """
    if len(test) < 4 * NEIGHBOURS or classes > MOST_CLASSES:
        return None
    vectors, labels = _sample(test)
    near = train.labels[(vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1).indices]
    pairs = (labels[:, None] * classes + near).flatten().bincount(minlength=classes**2)
    table = pairs.view(classes, classes)
    totals, (shares, like) = table.sum(1), (table / table.sum(1, keepdim=True).clamp(min=1)).max(1)
    return [
        {"label": label, "images": total // NEIGHBOURS, "like": other, "share": share}
        for label, (total, other, share) in enumerate(
            zip(totals.tolist(), like.tolist(), shares.tolist(), strict=True)
        )
        if total
    ]


def _sample(part: Labelled) -> tuple[Tensor, Tensor]:
    """At most `SAMPLE` images of `part`, drawn at random, as `outline` has them; and their labels."""
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:SAMPLE]
    rows = rows.to(part.labels.device)
    outlined = [outline(part.images[some]) for some in torch.split(rows, portion(part.images.shape))]
    return torch.cat(outlined), part.labels[rows]


def _agreement(labels: Tensor, known: Outlined, near: Tensor, classes: int) -> dict[str, Any]:
    """How often `labels`, int64 `(N,)`, are those of their neighbours `near`, rows of `known` `(N, k)`."""
    shares, others = (
        which.bincount(minlength=classes).cpu().double() / len(which) for which in (labels, known.labels)
    )
    return {
        "share": float((known.labels[near] == labels[:, None]).cpu().double().mean()),
        "chance": float((shares * others).sum()),
        "images": len(labels),
        "each": near.shape[1],
    }


def detail(images: Tensor) -> dict[str, float] | None:
    """The part of the pixels' variance that is gone when images are reduced and enlarged again.

    `halved` to half their side, `quartered` to a quarter. Natural images lose alike from octave to octave
    (Field, 1987), whatever their size; what was enlarged has nothing to lose in the first. None for images
    below eight pixels, and for such as are all one colour.
    """
    height, width = images.shape[-2:]
    if min(height, width) < 8:
        return None
    sums = torch.zeros(3, dtype=torch.float64)
    for part in torch.split(images, portion(images.shape)):
        sums += _lost(part.float())
    variance, halved, quartered = (sums / len(images)).tolist()
    return {"halved": halved / variance, "quartered": quartered / variance} if variance else None


def _lost(pixels: Tensor) -> Tensor:
    """Sums over images: their variance, and what of it is gone after halving and quartering, `(3,)`."""
    height, width = pixels.shape[-2:]

    def lost(factor: int) -> Tensor:
        side = (height // factor, width // factor)
        small = functional.interpolate(pixels, side, mode="bilinear", antialias=True)
        again = functional.interpolate(small, (height, width), mode="bicubic", align_corners=False)
        return (pixels - again).square().mean((1, 2, 3)).sum()

    variance = pixels.var((2, 3), correction=0).mean(1).sum()
    return torch.stack([variance, lost(2), lost(4)]).cpu().double()


def outline(images: Tensor) -> Tensor:
    """Images uint8 `(N, C, H, W)` as unit vectors `(N, C·SIDE²)`, for which a product is a likeness."""
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(1, keepdim=True))
