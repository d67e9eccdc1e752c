"""What the images of a run say of themselves before the first step: the record `census`.

All of it is cheap enough to be told of every run, and answers what no curve can: whether test images are
learnt from, whether labels have to do with images, and whether the images are as sharp as they are large.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.fixed import png
from cnnviz.training.material import Labelled, Material
from cnnviz.training.streamed import StreamedImages

PAIRS = 4
"""Repeated images that are kept to be looked at."""
NEIGHBOURS = 5
SAMPLE = 2000
"""Images among which neighbours are looked for: a share of their 10,000 pairs is known to a point or so."""
DETAILED = 200
"""Images whose detail is looked at."""
SIDE = 16
"""Pixels that images are reduced to before they are compared: place and shade count, detail does not."""


def census(material: Material) -> dict[str, Any]:
    """`test_counts` of each class, and `repeats`, `neighbours`, `neighbours_in_colour` and `detail`.

    None stands for what was not looked at: most of it where images are decoded as they are needed.
    """
    classes, train = len(material.classes), material.train
    streams = isinstance(train.images, StreamedImages)
    return {
        "test_counts": material.test.labels.bincount(minlength=classes).tolist(),
        "repeats": repeats(material),
        "neighbours": None if streams else neighbours(train, classes),
        "neighbours_in_colour": material.coloured and neighbours(material.coloured, classes),
        "detail": None if streams else detail(train.images[:DETAILED]),
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


def neighbours(train: Labelled, classes: int) -> dict[str, Any] | None:
    """How often an image's nearest neighbours have its label, and how often any other image has.

    `share` is over the `NEIGHBOURS` nearest of each of `images` images (cosine between what is left of the
    pixels at `SIDE`×`SIDE` without their mean), `chance` is over all pairs: Σ p² of the classes' shares.
    None for fewer than 20 images.
    """
    if len(train) < 4 * NEIGHBOURS:
        return None
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:SAMPLE]
    rows = rows.to(train.labels.device)
    labels = train.labels[rows]
    near = nearest(outline(train.images[rows]), NEIGHBOURS)
    shares = labels.bincount(minlength=classes).double() / len(labels)
    return {
        "share": float((labels[near] == labels[:, None]).double().mean()),
        "chance": float((shares**2).sum()),
        "images": len(labels),
        "each": NEIGHBOURS,
    }


def detail(images: Tensor) -> dict[str, float] | None:
    """The part of the pixels' variance that is gone when images are reduced and enlarged again.

    `halved` to half their side, `quartered` to a quarter. Natural images lose alike from octave to octave
    (Field, 1987), whatever their size; what was enlarged has nothing to lose in the first. None for images
    below eight pixels, and for such as are all one colour.
    """
    pixels = images.float()
    height, width = pixels.shape[-2:]
    variance = float(pixels.var((2, 3), correction=0).mean())
    if min(height, width) < 8 or variance == 0:
        return None

    def lost(factor: int) -> float:
        side = (height // factor, width // factor)
        small = functional.interpolate(pixels, side, mode="bilinear", antialias=True)
        again = functional.interpolate(small, (height, width), mode="bicubic", align_corners=False)
        return float((pixels - again).square().mean()) / variance

    return {"halved": lost(2), "quartered": lost(4)}


def outline(images: Tensor) -> Tensor:
    """Images uint8 `(N, C, H, W)` as unit vectors `(N, C·SIDE²)`, for which a product is a likeness."""
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(1, keepdim=True))


def nearest(vectors: Tensor, count: int) -> Tensor:
    """The rows of the `count` others most like each of `(N, F)`, int64 `(N, count)`."""
    likeness = vectors @ vectors.T
    likeness.fill_diagonal_(-torch.inf)
    return likeness.topk(count, dim=1).indices
