"""What the images of a run say of themselves before the first step: the record `census`.

All of it is cheap enough to be told of every run, and answers what no curve can: whether test images are
learnt from, whether labels have to do with images, and whether the images are as sharp as they are large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.fixed import png
from cnnviz.training.material import Labelled, Material
from cnnviz.training.near_duplicates import near_duplicates
from cnnviz.training.streamed import StreamedImages, portion
from cnnviz.training.variation import variation

if TYPE_CHECKING:
    from cnnviz.training.prepare import Preparation

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


def census(material: Material, preparation: Preparation | None = None) -> dict[str, Any]:
    """`test_counts` and `validation_counts` of each class, and what the functions below tell by their names.

    `variation` and `near_duplicates` are those of the modules so called; without `preparation` images are
    looked at only as they are stored.

    `neighbours_in_colour` is of images that the model reads in grey. None stands for what was not looked at:
    most of it where images are decoded as they are needed.
    """
    classes, train, test = len(material.classes), material.train, material.test
    streams = isinstance(train.images, StreamedImages)
    outlined = None if streams else Outlined.of(train)
    return {
        "test_counts": test.labels.bincount(minlength=classes).tolist(),
        "validation_counts": material.validation.labels.bincount(minlength=classes).tolist(),
        "repeats": repeats(material),
        "neighbours": outlined.neighbours(classes) if outlined else None,
        "neighbours_of_test": neighbours_of_test(test, outlined, classes) if outlined else None,
        "neighbours_in_colour": material.coloured and neighbours(material.coloured, classes),
        "detail": None if streams else detail(train.images[:DETAILED]),
        "variation": variation(train, preparation),
        "near_duplicates": near_duplicates(test, train),
        "resembled": resembled(test, outlined, classes) if outlined else None,
    }


def repeats(material: Material) -> dict[str, Any] | None:
    """How many images occur twice, pixel by pixel; None for images that are decoded as they are needed.

    `test` and `validation` count their images that are among the training images too, `train` those that
    repeat an earlier one, `conflicting` the test images whose label there is another. `pairs` shows some.
    """
    parts = (material.train, material.validation, material.test)
    if any(isinstance(part.images, StreamedImages) for part in parts):
        return None
    known: dict[int, int] = {}
    for row, mark in enumerate(marks(material.train)):
        known.setdefault(mark, row)
    found = [(row, known[mark]) for row, mark in enumerate(marks(material.test)) if mark in known]
    truth, learnt = material.test.labels.tolist(), material.train.labels.tolist()
    return {
        "test": len(found),
        "validation": sum(mark in known for mark in marks(material.validation)),
        "train": len(material.train) - len(known),
        "conflicting": sum(truth[row] != learnt[twin] for row, twin in found),
        "pairs": [
            {
                "test": row,
                "train": twin,
                "labels": [truth[row], learnt[twin]],
                "png": png(material.test.images[row : row + 1][0].cpu()),
            }
            for row, twin in found[:PAIRS]
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
    found = _agreement(labels, train, top.indices, classes) | {"nearer": float(nearer.double().mean())}
    if classes > MOST_CLASSES:
        return found
    pairs = labels[:, None] * classes + train.labels[top.indices]
    counts = pairs.flatten().bincount(minlength=classes**2).reshape(classes, classes)
    return found | {"confusion": counts.tolist()}


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
        which.bincount(minlength=classes).double() / len(which) for which in (labels, known.labels)
    )
    return {
        "share": float((known.labels[near] == labels[:, None]).double().mean()),
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
    return torch.stack([variance, lost(2), lost(4)]).double().cpu()


def outline(images: Tensor) -> Tensor:
    """Images uint8 `(N, C, H, W)` as unit vectors `(N, C·SIDE²)`, for which a product is a likeness."""
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(1, keepdim=True))
