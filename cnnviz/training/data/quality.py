"""Data-quality report of a run's images, made before the first step and stored as the record `census`.

It is cheap enough for every run, and answers what no loss curve can: whether training images leak into the
test set, whether labels are related to images, and whether images are as sharp as their size suggests.
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

# Image variation: whether images differ from each other, as stored and as preprocessed.
#
# A constant input (black images, pixels divided by 255 twice, a cutout as large as the image) holds no
# information, and no loss curve shows why. Measured before the first step, on a sample bounded by bytes.

VARIATION_SAMPLE = 256
"""Maximum sample size: a fraction is then known to three percentage points."""
SAMPLE_STREAMED = 64
"""Maximum sample size for lazily decoded images."""
MAX_PIXELS = 1 << 16
"""Maximum number of values per image that are compared between images, evenly spaced."""
FLAT_SHADES = 1.0
"""Standard deviation, of 255 gray levels, below which an image is flat."""
FLAT_INPUT = 0.01
"""The same for a network's input: standardized pixels have a deviation of 1, unit pixels of about 0.3."""
BLANKED = 0.1
"""Fraction of an image's own deviation below which augmentation has blanked it."""


def variation(train: Labelled, transform: Transform | None = None) -> dict[str, Any] | None:
    """Measure how training images vary.

    Args:
        train: The training images.
        transform: Preprocessing and augmentation.

    Returns:
        `stored` (in gray levels), `plain` (network input without augmentation) and `augmented`, the latter
        two only with `transform`. Each has the number of `images` and of `distinct` ones, the median standard
        deviation within an image (`within`), the standard deviation of a pixel between images, RMS over
        pixels (`between`), and the fraction of `flat` images. `blanked` is the fraction of non-flat images
        that augmentation reduces to less than a tenth of their deviation, `kept` the median fraction of an
        image's variance that remains. None without images.
    """
    if not len(train):
        return None
    rows = _variation_sample(train)
    stored, plain, augmented = _View(FLAT_SHADES), _View(FLAT_INPUT), _View(FLAT_INPUT)
    generator = torch.Generator(train.labels.device).manual_seed(0)
    evaluation_transform = _one_view(transform) if transform else None
    for part_rows in torch.split(rows, portion((_values(train, transform),))):
        images = train.images[part_rows]
        stored.add(images.float())
        if transform and evaluation_transform:
            plain.add(evaluation_transform.test(images))
            augmented.add(transform.train(images, part_rows, 0, generator))
    facts: dict[str, Any] = {"stored": stored.summary()}
    facts |= dict.fromkeys(("plain", "augmented", "blanked", "kept"))
    if transform:
        before, after = torch.cat(plain.deviations), torch.cat(augmented.deviations)
        not_flat = before > FLAT_INPUT
        ratio = after[not_flat] / before[not_flat]
        facts |= {
            "plain": plain.summary(),
            "augmented": augmented.summary(),
            "blanked": float((ratio < BLANKED).cpu().double().mean()) if len(ratio) else None,
            "kept": float(ratio.square().median()) if len(ratio) else None,
        }
    return facts


def _one_view(transform: Transform) -> Transform:
    """Return the transform without ten crops: one view per image."""
    return replace(transform, recipe=transform.recipe.model_copy(update={"ten_crop": False}))


def _values(train: Labelled, transform: Transform | None) -> int:
    """Return the number of values of an image at its largest: as stored, resized, or padded."""
    channels, height, width = train.images.shape[1:]
    if transform is None:
        return channels * height * width
    recipe, (input_height, input_width) = transform.recipe, transform.side
    largest = max(
        (recipe.crop_from or 0) ** 2,
        (input_height + 2 * recipe.pad_crop) * (input_width + 2 * recipe.pad_crop),
    )
    return channels * max(height * width, largest)


def _variation_sample(train: Labelled) -> Tensor:
    """Return evenly spaced rows, which cover all classes of sorted data."""
    most = SAMPLE_STREAMED if isinstance(train.images, StreamedImages) else VARIATION_SAMPLE
    count = min(most, len(train))
    return torch.linspace(0, len(train) - 1, count).round().long().to(train.labels.device)


class _View:
    """Running statistics over images `(B, C, H, W)`; deviations below `flat` count as flat."""

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
        values = flat[:, :: -(-flat.shape[1] // MAX_PIXELS)].cpu().double()
        # Differences from the first image, since the sums of nearly equal images would cancel.
        self._first = values[:1].clone() if self._first is None else self._first
        differences = values - self._first
        sums, squares = differences.sum(0), differences.square().sum(0)
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
"""Number of repeated images stored for display."""
NEIGHBOURS = 5
SAMPLE = 2000
"""Sample size for nearest neighbors: a fraction of 10,000 pairs is known to about a percentage point."""
DETAILED = 200
"""Number of images whose detail is measured."""
MAX_CLASSES = 200
"""Maximum number of classes for the comparison of classes."""
SIDE = 16
"""Side in pixels for comparison of images: position and brightness count, detail does not."""


def dataset_report(data_module: DataModule, transform: Transform | None = None) -> dict[str, Any]:
    """Report the quality of a data set: class counts, duplicates, label agreement, variation.

    `test_counts` and `validation_counts` count each class; every other entry is the result of the function of
    that name. Without `transform`, `variation` covers stored images only. `neighbours_in_colour` is of color
    images whose grayscale version the model reads. None stands for entries that were not computed: most of
    them for lazily decoded images.
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
        "neighbours_in_colour": data_module.color_images and neighbours(data_module.color_images, classes),
        "detail": None if streams else detail(train.images[:DETAILED]),
        "variation": variation(train, transform),
        "near_duplicates": near_duplicates(test, train),
        "resembled": resembled(test, outlined, classes) if outlined else None,
    }


def repeats(data_module: DataModule) -> dict[str, Any] | None:
    """Count exact duplicates, pixel by pixel; None for lazily decoded images.

    Returns:
        `test` and `validation` are their numbers of images that are training images too, `train` the number
        that repeat an earlier one, `conflicting` the number of test images with another label there. `pairs`
        shows some.
    """
    parts = (data_module.train, data_module.validation, data_module.test)
    if any(isinstance(part.images, StreamedImages) for part in parts):
        return None
    first_rows: dict[int, int] = {}
    for row, mark in enumerate(marks(data_module.train)):
        first_rows.setdefault(mark, row)
    pairs = [
        (row, first_rows[mark]) for row, mark in enumerate(marks(data_module.test)) if mark in first_rows
    ]
    truth, learnt = data_module.test.labels.tolist(), data_module.train.labels.tolist()
    return {
        "test": len(pairs),
        "validation": sum(mark in first_rows for mark in marks(data_module.validation)),
        "train": len(data_module.train) - len(first_rows),
        "conflicting": sum(truth[row] != learnt[train_row] for row, train_row in pairs),
        "pairs": [
            {
                "test": row,
                "train": train_row,
                "labels": [truth[row], learnt[train_row]],
                "png": png(data_module.test.images[row : row + 1][0].cpu()),
            }
            for row, train_row in pairs[:PAIRS]
        ],
    }


def marks(part: Labelled) -> list[int]:
    """Return a hash of each image: equal for equal pixels, else different but for a probability of 2⁻⁶⁴.

    Python's hash of its bytes (SipHash), on the CPU, takes 0.05 s for 60,000 images.
    """
    return [hash(image.tobytes()) for image in part.images[:].cpu().flatten(1).numpy()]


@dataclass(frozen=True)
class Outlined:
    """A sample of labeled images as unit vectors (`outline`), with the nearest neighbors of each."""

    vectors: Tensor
    labels: Tensor
    near: Tensor
    """Rows of the `NEIGHBOURS` nearest others, nearest first, int64 `(N, NEIGHBOURS)`."""
    likeness: Tensor
    """Cosine similarity of the nearest, in [-1, 1], `(N,)`."""

    @classmethod
    def of(cls, part: Labelled) -> Outlined | None:
        """Sample at most `SAMPLE` images of `part`; None if it has fewer than 20."""
        if len(part) < 4 * NEIGHBOURS:
            return None
        vectors, labels = _sample(part)
        likeness = vectors @ vectors.T
        likeness.fill_diagonal_(-torch.inf)
        top = likeness.topk(NEIGHBOURS, dim=1)
        return cls(vectors, labels, top.indices, top.values[:, 0])

    def neighbours(self, classes: int) -> dict[str, Any]:
        """Return label agreement; see the function `neighbours`."""
        return _agreement(self.labels, self, self.near, classes)


def neighbours(train: Labelled, classes: int) -> dict[str, Any] | None:
    """Measure how often an image's nearest neighbors have its label, compared with chance.

    Returns:
        `share`, over the `NEIGHBOURS` nearest of each of `images` images (by cosine similarity of zero-mean
        pixels at `SIDE`×`SIDE`), and `chance`, over all pairs: Σ p² of the class fractions. None for fewer
        than 20 images.
    """
    outlined = Outlined.of(train)
    return outlined.neighbours(classes) if outlined else None


def neighbours_of_test(test: Labelled, train: Outlined, classes: int) -> dict[str, Any] | None:
    """Measure how often the training images nearest to a test image have its label.

    Returns:
        `share`, `images` and `each` as in `neighbours`; `chance` is Σ p·p′ of the class fractions of both
        splits. `nearer` is the fraction of test images whose nearest training image is nearer than the median
        nearest neighbor within the training images: 1/2 if both splits come from one source. `confusion`, for
        at most `MAX_CLASSES` classes, counts the neighbors: row the test image's label, column the
        neighbor's. None for fewer than 20 test images.
    """
    if len(test) < 4 * NEIGHBOURS:
        return None
    vectors, labels = _sample(test)
    top = (vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1)
    nearer = top.values[:, 0] > train.likeness.median()
    agreement = _agreement(labels, train, top.indices, classes) | {
        "nearer": float(nearer.cpu().double().mean())
    }
    if classes > MAX_CLASSES:
        return agreement
    pairs = labels[:, None] * classes + train.labels[top.indices]
    counts = pairs.flatten().bincount(minlength=classes**2).reshape(classes, classes)
    return agreement | {"confusion": counts.tolist()}


def resembled(test: Labelled, train: Outlined, classes: int) -> list[dict[str, Any]] | None:
    """Find the training class that the test images of each class resemble most: reveals swapped labels.

    Returns:
        For each class with test images: `label`, the number of `images` compared, the class `like` that most
        of their `NEIGHBOURS` nearest training images have, and its `share`. None for fewer than 20 test
        images, and for more than `MAX_CLASSES` classes.
    """
    if len(test) < 4 * NEIGHBOURS or classes > MAX_CLASSES:
        return None
    vectors, labels = _sample(test)
    near = train.labels[(vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1).indices]
    pairs = (labels[:, None] * classes + near).flatten().bincount(minlength=classes**2)
    table = pairs.view(classes, classes)
    totals, (shares, like) = table.sum(1), (table / table.sum(1, keepdim=True).clamp(min=1)).max(1)
    return [
        {"label": label, "images": total // NEIGHBOURS, "like": like_label, "share": share}
        for label, (total, like_label, share) in enumerate(
            zip(totals.tolist(), like.tolist(), shares.tolist(), strict=True)
        )
        if total
    ]


def _sample(part: Labelled) -> tuple[Tensor, Tensor]:
    """Return at most `SAMPLE` random images of `part` as unit vectors (`outline`), and their labels."""
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:SAMPLE]
    rows = rows.to(part.labels.device)
    outlined = [
        outline(part.images[part_rows]) for part_rows in torch.split(rows, portion(part.images.shape))
    ]
    return torch.cat(outlined), part.labels[rows]


def _agreement(labels: Tensor, known: Outlined, near: Tensor, classes: int) -> dict[str, Any]:
    """Return how often `labels`, int64 `(N,)`, equal those of their neighbors, rows `near` of `known`."""
    shares, others = (
        split_labels.bincount(minlength=classes).cpu().double() / len(split_labels)
        for split_labels in (labels, known.labels)
    )
    return {
        "share": float((known.labels[near] == labels[:, None]).cpu().double().mean()),
        "chance": float((shares * others).sum()),
        "images": len(labels),
        "each": near.shape[1],
    }


def detail(images: Tensor) -> dict[str, float] | None:
    """Measure the fraction of the pixel variance lost when images are downsampled and upsampled again.

    Natural images lose equal amounts per octave (Field, 1987), whatever their size; upsampled images lose
    nothing in the first.

    Returns:
        `halved` for half of the side, `quartered` for a quarter. None for images below eight pixels, and for
        images of a single color.
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
    """Return sums over images of their variance and of the loss at half and a quarter of the side, `(3,)`."""
    height, width = pixels.shape[-2:]

    def lost(factor: int) -> Tensor:
        side = (height // factor, width // factor)
        small = functional.interpolate(pixels, side, mode="bilinear", antialias=True)
        upsampled = functional.interpolate(small, (height, width), mode="bicubic", align_corners=False)
        return (pixels - upsampled).square().mean((1, 2, 3)).sum()

    variance = pixels.var((2, 3), correction=0).mean(1).sum()
    return torch.stack([variance, lost(2), lost(4)]).cpu().double()


def outline(images: Tensor) -> Tensor:
    """Return images uint8 `(N, C, H, W)` as unit vectors `(N, C·SIDE²)`; dot products are similarities."""
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(1, keepdim=True))
