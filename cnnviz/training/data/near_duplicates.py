"""Near-duplicates: test images that are training images saved again, as a JPEG or at another brightness.

Pixel by pixel such copies differ, so that a digest does not find them. A perceptual hash does: the image in
grey at 8×8 pixels, without its mean and contrast. The training images nearest by it are compared at 16×16,
where noise of compression is averaged away. An image is a copy where it is very near to one training image
and far nearer to it than to the others: the second keeps images that all look alike apart from copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.data.tensors import StreamedImages, portion
from cnnviz.training.metrics import png

if TYPE_CHECKING:
    from cnnviz.training.data.tensors import Labelled

TESTED, KNOWN = 1_000, 20_000
"""Images of the test part that are looked for, and of the training part among which, at most."""
SIDE = 16
"""Pixels a side at which images are compared; their candidates are found at half of it."""
CANDIDATES = 5
"""Training images nearest by hash that are compared."""
NEAR = 0.1
"""Distance of two images as unit vectors (0 the same, √2 unrelated) up to which one may be a copy. JPEG of
quality 40 is 0.02 to 0.1 away from its original (digits, MNIST; most of CIFAR-10). What was nearest to a test
image by nature: 0.105 at least in the digits, 0.110 in MNIST, 0.132 in CIFAR-10 (1,000 of each in 20,000)."""
NEARER = 0.5
"""Of the distance to the last candidate: copies are nearer than that."""
CONTRAST = 4.0
"""Standard deviation, of 255 shades, below which images are all alike."""
PAIRS = 4
"""Copies that are kept to be looked at."""
LIKENESSES = 1 << 22
"""Pairs of images that are compared by hash at once: 16 MiB."""


def near_duplicates(test: Labelled, train: Labelled) -> dict[str, Any] | None:
    """Count the `copies` among `images` test images, as compared with `known` training images.

    Images that are the same pixel by pixel count too. `pairs` shows some that are not: their places, labels,
    distance and pictures. None where images are decoded as they are needed, and where there are too few.
    """
    if isinstance(test.images, StreamedImages) or isinstance(train.images, StreamedImages):
        return None
    if not len(test) or len(train) <= CANDIDATES:
        return None
    rows, among = _sample(test, TESTED), _sample(train, KNOWN)
    small, others = reduced(test.images, rows), reduced(train.images, among)
    shown = small.std(1, correction=0) >= CONTRAST
    rows, small = rows[shown], small[shown]
    coarse, known = _coarse(small), _coarse(others)
    fine = _unit(others)
    pairs: list[tuple[int, int, float]] = []
    step = max(1, LIKENESSES // len(known))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        near = (coarse[part] @ known.T).topk(CANDIDATES, dim=1).indices
        # From the difference: 2 - 2·cos of nearly equal vectors loses its digits.
        apart, order = (_unit(small[part])[:, None] - fine[near]).norm(dim=2).sort(dim=1)
        copies = (apart[:, 0] < NEAR) & (apart[:, 0] < NEARER * apart[:, -1])
        twins = among[near.gather(1, order[:, :1])[:, 0]]
        pairs += zip(
            rows[part][copies].tolist(), twins[copies].tolist(), apart[copies, 0].tolist(), strict=True
        )
    shown_pairs = [pair for pair in pairs if not torch.equal(test.images[pair[0]], train.images[pair[1]])]
    return {
        "copies": len(pairs),
        "images": len(rows),
        "known": len(among),
        "pairs": [_pair(test, train, *shown_pair) for shown_pair in shown_pairs[:PAIRS]],
    }


def reduced(images: Tensor, rows: Tensor) -> Tensor:
    """The images of `rows` in grey at `SIDE`×`SIDE`, in shades: `(N, SIDE²)`."""
    small = [
        functional.adaptive_avg_pool2d(images[part].float().mean(1, keepdim=True), SIDE).flatten(1)
        for part in torch.split(rows, portion(images.shape))
    ]
    return torch.cat(small)


def _coarse(small: Tensor) -> Tensor:
    """Reduced images as unit vectors of half their side."""
    return _unit(functional.avg_pool2d(small.view(-1, 1, SIDE, SIDE), 2).flatten(1))


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors - vectors.mean(1, keepdim=True))


def _sample(part: Labelled, most: int) -> Tensor:
    """At most `most` rows, drawn at random, ascending."""
    drawn = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:most].sort().values
    return drawn.to(part.labels.device)


def _pair(test: Labelled, train: Labelled, row: int, twin: int, distance: float) -> dict[str, Any]:
    return {
        "test": row,
        "train": twin,
        "labels": [int(test.labels[row]), int(train.labels[twin])],
        "distance": distance,
        "png": [png(part.images[place : place + 1][0].cpu()) for part, place in ((test, row), (train, twin))],
    }
