"""A classifier that needs no training: random patches as filters, and a linear layer found in closed form.

After Coates and Ng, "Learning feature representations with k-means" (2012), without the k-means: patches are
whitened, compared at every place, rectified both ways, averaged over quarters of the image. It shares neither
optimiser nor architecture with the network that it is asked about.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PATCH, STRIDE, FILTERS = 5, 2, 128
WHITENING, THRESHOLD, RIDGE = 0.1, 0.25, 0.3
"""As there; the ridge is per image, for features of unit variance."""
LARGEST = 32
"""Pixels a side that images are reduced to."""
SOURCES = 500
"""Images that patches are taken from."""


def learnt_share(images: Tensor, labels: Tensor, classes: int) -> dict[str, Any] | None:
    """Learn half of `images`, uint8 `(N, C, H, W)`, and say how many labels of the others are found.

    Gives `share`, `chance` (of the commonest class) and `images` (of the other half); None for images below
    eight pixels or fewer than 20.
    """
    if len(images) < 20 or min(images.shape[-2:]) < 8:
        return None
    found = features(images)
    half = len(images) // 2
    answers = _ridge(found[:half], labels[:half], found[half:], classes).argmax(1)
    truth = labels[half:]
    return {
        "share": float((answers == truth).double().mean()),
        "chance": float(truth.bincount().max()) / len(truth),
        "images": len(truth),
    }


def features(images: Tensor) -> Tensor:
    """Features `(N, 8·FILTERS)` of images uint8 `(N, C, H, W)`; the same images give the same."""
    x = _small(images)
    sources = _normalised(_patches(x[:SOURCES])).flatten(0, 1)
    seed = torch.Generator().manual_seed(0)
    sources = sources[torch.randperm(len(sources), generator=seed)[:20_000].to(x.device)]
    mean = sources.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(sources.T))
    whiten = vectors * (values.clamp(min=0) + WHITENING).rsqrt() @ vectors.T
    filters = functional.normalize((sources[:FILTERS] - mean) @ whiten)
    return torch.cat([_answered(part, mean, whiten @ filters.T) for part in torch.split(x, 100)])


def _small(images: Tensor) -> Tensor:
    side = min(LARGEST, *images.shape[-2:])
    x = images.float() / 255
    if tuple(x.shape[-2:]) != (side, side):
        x = functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return x


def _patches(x: Tensor) -> Tensor:
    """All patches: `(N, places, values)`."""
    return functional.unfold(x, PATCH, stride=STRIDE).transpose(1, 2)


def _normalised(patches: Tensor) -> Tensor:
    return (patches - patches.mean(2, keepdim=True)) / (patches.var(2, keepdim=True) + 0.01).sqrt()


def _answered(x: Tensor, mean: Tensor, filters: Tensor) -> Tensor:
    like = (_normalised(_patches(x)) - mean) @ filters
    both = torch.cat([(like - THRESHOLD).clamp(min=0), (-like - THRESHOLD).clamp(min=0)], 2)
    side = (x.shape[-1] - PATCH) // STRIDE + 1
    maps = both.transpose(1, 2).reshape(len(x), -1, side, side)
    return functional.adaptive_avg_pool2d(maps, min(2, side)).flatten(1)


def _ridge(known: Tensor, labels: Tensor, asked: Tensor, classes: int) -> Tensor:
    """Scores `(M, classes)` of ridge regression from `known` to one-hot labels, in its dual form."""
    mean, spread = known.mean(0), known.std(0) + 1e-3
    known, asked = (known - mean) / spread, (asked - mean) / spread
    target = functional.one_hot(labels, classes).float() - 1 / classes
    kernel = known @ known.T
    kernel.diagonal().add_(RIDGE * len(known))
    weights: Tensor = torch.linalg.solve(kernel, target)
    return asked @ known.T @ weights
