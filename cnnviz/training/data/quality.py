"""Data-quality report of a run's images, made before the first step and stored as the record `census`.

It is cheap enough for every run, and answers what no loss curve can: whether training images leak into the
test set, whether labels are related to images, and whether images are as sharp as their size suggests.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.data import DataModule, Labelled, StreamedImages, portion
from cnnviz.training.data.label_agreement import Outlined, neighbours, neighbours_of_test, resembled
from cnnviz.training.metrics import png

if TYPE_CHECKING:
    from cnnviz.training.data.transforms import Transform

DETAILED = 200
"""Number of images whose detail is measured."""
PAIRS = 4
"""Number of pairs of duplicates stored for display."""


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


# Detail: images that were upsampled have none at their own size.


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


# Exact duplicates.


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


# Near-duplicates: test images that are recompressed or brightened copies of training images.
#
# Such copies differ pixel by pixel, so a digest does not find them. A perceptual hash does: the grayscale
# image at 8×8 pixels, normalized to zero mean and unit norm. The nearest training images by hash are compared
# at 16×16, where compression noise is averaged out. An image counts as a copy if it is very near to one
# training image and far nearer to it than to the other candidates, which excludes images that all look alike.

TESTED, KNOWN = 1_000, 20_000
"""Maximum numbers of test images that are checked, and of training images they are compared with."""
SIDE = 16
"""Side in pixels at which images are compared; candidates are found at half of it."""
CANDIDATES = 5
"""Number of nearest training images by hash that are compared."""
NEAR = 0.1
"""Maximum distance of a copy, as unit vectors (0 identical, √2 unrelated). A JPEG of quality 40 is at 0.02 to

0.1 from its original (digits, MNIST; most of CIFAR-10). The nearest image to a test image that is no copy is
at least at 0.105 in the digits, 0.110 in MNIST, 0.132 in CIFAR-10 (1,000 of each in 20,000).
"""
NEARER = 0.5
"""Maximum distance of a copy relative to the last candidate's distance."""
CONTRAST = 4.0
"""Minimum standard deviation, of 255 gray levels; images below it are all alike."""
LIKENESSES = 1 << 22
"""Pairs of images compared by hash at once: 16 MiB."""


def near_duplicates(test: Labelled, train: Labelled) -> dict[str, Any] | None:
    """Count near-duplicates of training images among test images.

    Returns:
        `copies` among `images` test images, compared with `known` training images; exact duplicates count
        too. `pairs` shows some that are not exact: indices, labels, distance and PNGs. None for lazily
        decoded images, and for too few images.
    """
    if isinstance(test.images, StreamedImages) or isinstance(train.images, StreamedImages):
        return None
    if not len(test) or len(train) <= CANDIDATES:
        return None
    rows, known_rows = _sample(test, TESTED), _sample(train, KNOWN)
    small_test, small_train = reduced(test.images, rows), reduced(train.images, known_rows)
    has_contrast = small_test.std(1, correction=0) >= CONTRAST
    rows, small_test = rows[has_contrast], small_test[has_contrast]
    coarse, known_hashes = _coarse(small_test), _coarse(small_train)
    fine = _unit(small_train)
    pairs: list[tuple[int, int, float]] = []
    step = max(1, LIKENESSES // len(known_hashes))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        candidates = (coarse[part] @ known_hashes.T).topk(CANDIDATES, dim=1).indices
        # By the difference: 2 - 2·cos of nearly equal vectors cancels.
        distances, order = (_unit(small_test[part])[:, None] - fine[candidates]).norm(dim=2).sort(dim=1)
        copies = (distances[:, 0] < NEAR) & (distances[:, 0] < NEARER * distances[:, -1])
        originals = known_rows[candidates.gather(1, order[:, :1])[:, 0]]
        pairs += zip(
            rows[part][copies].tolist(),
            originals[copies].tolist(),
            distances[copies, 0].tolist(),
            strict=True,
        )
    shown_pairs = [pair for pair in pairs if not torch.equal(test.images[pair[0]], train.images[pair[1]])]
    return {
        "copies": len(pairs),
        "images": len(rows),
        "known": len(known_rows),
        "pairs": [_pair(test, train, *shown_pair) for shown_pair in shown_pairs[:PAIRS]],
    }


def reduced(images: Tensor, rows: Tensor) -> Tensor:
    """Return the images at `rows` in grayscale at `SIDE`×`SIDE`, in gray levels: `(N, SIDE²)`."""
    small = [
        functional.adaptive_avg_pool2d(images[part].float().mean(1, keepdim=True), SIDE).flatten(1)
        for part in torch.split(rows, portion(images.shape))
    ]
    return torch.cat(small)


def _coarse(small: Tensor) -> Tensor:
    """Return reduced images as unit vectors at half of their side."""
    return _unit(functional.avg_pool2d(small.view(-1, 1, SIDE, SIDE), 2).flatten(1))


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors - vectors.mean(1, keepdim=True))


def _sample(part: Labelled, most: int) -> Tensor:
    """Return at most `most` random rows, in ascending order."""
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:most].sort().values
    return rows.to(part.labels.device)


def _pair(test: Labelled, train: Labelled, row: int, train_row: int, distance: float) -> dict[str, Any]:
    return {
        "test": row,
        "train": train_row,
        "labels": [int(test.labels[row]), int(train.labels[train_row])],
        "distance": distance,
        "png": [
            png(part.images[index : index + 1][0].cpu()) for part, index in ((test, row), (train, train_row))
        ],
    }
