"""Near-duplicates: test images that are recompressed or brightened copies of training images.

Such copies differ pixel by pixel, so a digest does not find them. A perceptual hash does: the grayscale image
at 8×8 pixels, normalized to zero mean and unit norm. The nearest training images by hash are compared at
16×16, where compression noise is averaged out. An image counts as a copy if it is very near to one training
image and far nearer to it than to the other candidates, which excludes images that all look alike.
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
PAIRS = 4
"""Number of copies stored for display."""
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
