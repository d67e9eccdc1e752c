"""Images that are in two parts, pixel by pixel or nearly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject
from cnnviz.training.census import SIDE, repeats
from cnnviz.training.streamed import StreamedImages, portion

TESTED, KNOWN = 1_000, 20_000
"""Images of the test part that are looked for, and of the training part among which."""
NEAR = 4.0
"""Shades of 255, root mean square: what saving a picture as a JPEG of middling quality changes."""
CONTRAST = 12.0
"""Shades: images flatter than this are all nearly alike, and tell nothing."""


def _told(found: Mapping[str, Any]) -> str:
    exact, near = found["exact"], found["near"]
    said = []
    if exact is not None:
        said.append(
            f"{exact['test']:,} test and {exact['validation']:,} validation images lie among the training "
            "images, pixel by pixel."
        )
    if near is not None:
        said.append(
            f"{percent(near['share'], 1)} of {near['images']:,} test images differ from one of "
            f"{near['known']:,} training images by less than {near['threshold']:g} of 255 shades."
        )
    return " ".join(said) or "Images that are decoded as they are needed are not compared."


@register(
    "duplicates",
    title="Images in two parts",
    summary="No image that judges the network should be one, or nearly one, that it learnt from.",
    told=_told,
)
def duplicates(subject: Subject) -> Found:
    """`exact` as `cnnviz.training.census.repeats` counts (None where images stream), and `near`.

    `near` is of test images reduced to 16×16: the `share` that differ from a training image, or its mirror
    image, by less than `threshold` shades root mean square; `images` were compared with `known`.
    """
    material = subject.material
    if not len(material.test):
        return {"exact": repeats(material), "near": None}
    tested, known = (
        _reduced(part.images, subject.rows(part, most))
        for part, most in ((material.test, TESTED), (material.train, KNOWN))
    )
    tested = tested[tested.std(1) > CONTRAST]
    near = torch.stack([_nearest(tested, known), _nearest(_mirrored(tested), known)]).amin(0)
    return {
        "exact": repeats(material),
        "near": {
            "share": float((near < NEAR).double().mean()) if len(near) else 0.0,
            "threshold": NEAR,
            "images": len(near),
            "known": len(known),
        },
    }


def _reduced(images: Tensor | StreamedImages, rows: Tensor) -> Tensor:
    """The images of `rows` as `(N, C·16·16)` shades."""
    small = [
        functional.interpolate(images[part].float(), (SIDE, SIDE), mode="bilinear", antialias=True).flatten(1)
        for part in torch.split(rows, portion(images.shape))
    ]
    return torch.cat(small)


def _mirrored(vectors: Tensor) -> Tensor:
    return vectors.view(len(vectors), -1, SIDE).flip(-1).flatten(1)


def _nearest(vectors: Tensor, others: Tensor) -> Tensor:
    """The distance of each of `(N, F)` to the nearest of `(M, F)`, root mean square over F."""
    nearest = [torch.cdist(part, others).amin(1) for part in torch.split(vectors, 250)]
    return torch.cat(nearest) / vectors.shape[1] ** 0.5 if nearest else vectors.new_zeros(0)
