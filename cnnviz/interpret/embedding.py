"""A data set as a map in two dimensions, by what a layer makes of each image."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret import InterpretError
from cnnviz.interpret.activations import reduced
from cnnviz.interpret.cache import Batches, Stop, never, stepped
from cnnviz.interpret.maps import Floats, as_map_batch

# t-SNE with exact gradients (van der Maaten and Hinton, 2008), which tells how far it is.
#
# Settings are those of scikit-learn where it is told nothing: early exaggeration by 12 for a quarter of the
# steps, a learning rate of N/48 and at least 50, momentum 0.5, then 0.8, and a gain for each coordinate.

STEPS, EXAGGERATED, EXAGGERATION = 1_000, 250, 12.0
TELL_EVERY = 20
HALVINGS = 60
"""Of the interval in which a point's precision is sought."""


def arrange(values: Tensor, start: Tensor, perplexity: float, progress: Progress = silent) -> Tensor:
    """Points `(N, 2)` for features `(N, D)`, beginning at `start` `(N, 2)`.

    Memory grows with N²: 4 MB a matrix for a thousand. `progress`, told every `TELL_EVERY` steps, may raise.
    """
    near = affinities(values, perplexity)
    exaggerated = near * EXAGGERATION
    points, moved, gains = start.clone(), torch.zeros_like(start), torch.ones_like(start)
    rate = max(len(points) / EXAGGERATION / 4, 50.0)
    for step in range(STEPS):
        if step % TELL_EVERY == 0:
            progress(Step("arranging", step, STEPS, "steps"))
        early = step < EXAGGERATED
        slope = gradient(exaggerated if early else near, points)
        gains = torch.where(slope * moved < 0, gains + 0.2, gains * 0.8).clamp(min=0.01)
        moved = (0.5 if early else 0.8) * moved - rate * gains * slope
        points = points + moved
    return points


def affinities(values: Tensor, perplexity: float) -> Tensor:
    """How likely two points are neighbours, `(N, N)`, symmetric, 1 in all.

    Seen from each point, before both ways are averaged, the others have `perplexity`.
    """
    seen = conditional(values, perplexity)
    return (seen + seen.T) / (2 * len(values))


def conditional(values: Tensor, perplexity: float) -> Tensor:
    """Row i: how likely each point is a neighbour of point i, by a Gaussian with that perplexity."""
    far = torch.cdist(values, values).square()
    far.fill_diagonal_(torch.inf)
    # Distances by the nearest one: what is subtracted from all of a row changes no probability.
    far = far - far.amin(1, keepdim=True)
    scale = far.masked_fill(far.isinf(), 0).mean(1, keepdim=True).clamp(min=1e-12)
    low, high = torch.full_like(scale, -30.0), torch.full_like(scale, 30.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        wide = _entropy(far, middle.exp() / scale) > math.log(perplexity)
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    return torch.softmax(-far * ((low + high) / 2).exp() / scale, dim=1)


def _entropy(far: Tensor, precision: Tensor) -> Tensor:
    shares = torch.softmax(-far * precision, dim=1)
    total: Tensor = torch.special.entr(shares).sum(1, keepdim=True)
    return total


def gradient(near: Tensor, points: Tensor) -> Tensor:
    """Of the divergence KL(near ‖ q) by the points, q by Student's t with one degree of freedom."""
    squares = points.square().sum(1)
    apart = torch.addmm(1 + squares + squares[:, None], points, points.T, alpha=-2)
    close = apart.reciprocal_().fill_diagonal_(0)
    pull = torch.sub(near, close, alpha=1 / float(close.sum())).mul_(close)
    return 4 * (pull.sum(1, keepdim=True) * points - pull @ points)


WIDEST = 2048
"""Features of an image that maps are pooled down to, where they hold more."""
BEFORE_TSNE = 50
"""Principal components that t-SNE is given."""


@dataclass(frozen=True)
class Embedding:
    """Points in two dimensions, in the order of the images."""

    method: Literal["pca", "tsne"]
    points: Floats
    """`(N, 2)`."""
    explained: tuple[float, float] | None = None
    """PCA: each axis's part of the variance, from 0 to 1."""


def features(
    model: nn.Module,
    batches: Batches,
    layer: str,
    total: int | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> Floats:
    """What `layer` makes of each image, float32 `(N, D)`.

    Maps that hold more than `WIDEST` values are averaged over as many equal parts of their cells as fit,
    over all of them at worst. Raises as `exciting.exciting` does.
    """
    rows = []
    for images, _ in stepped(batches, total, "features", progress, stop):
        keep = functools.partial(_pooled, (images.shape[-2], images.shape[-1]))
        rows.append(reduced(model, images, [layer], keep)[layer])
    return np.concatenate(rows)


def _pooled(size: tuple[int, int], layer: str, out: Tensor) -> Floats:
    maps = as_map_batch(out, size)
    channels, height, width = maps.shape[1:]
    side = max(1, int((WIDEST / channels) ** 0.5))
    if channels * height * width > WIDEST and height * width > 1:
        maps = functional.adaptive_avg_pool2d(maps, (min(side, height), min(side, width)))
    array: Floats = maps.flatten(1).float().cpu().numpy()
    return array


def pca(values: Floats, seed: int = 0) -> Embedding:
    """The two directions of most variance, of features `(N, D)`; the same seed gives the same points.

    Raises `InterpretError` for fewer than three images, or features that are not numbers.
    """
    scores, explained = _components(values, 2, seed)
    return Embedding("pca", scores, (float(explained[0]), float(explained[1])))


def tsne(values: Floats, seed: int = 0, perplexity: float = 30.0, progress: Progress = silent) -> Embedding:
    """t-SNE (van der Maaten and Hinton, 2008), begun at the principal components; raises as `pca` does.

    Takes about five seconds for a thousand images, and grows with their square. `perplexity`, about how many
    neighbours count, is lowered to a third of the images.
    """
    before, _ = _components(values, BEFORE_TSNE, seed)
    fits = min(perplexity, (len(before) - 1) / 3)
    # Begins at the first two components, scaled as scikit-learn advises.
    start = before[:, :2] / (before[:, 0].std() or 1.0) * 1e-4
    points: Floats = arrange(torch.from_numpy(before), torch.from_numpy(start), fits, progress).numpy()
    return Embedding("tsne", points)


def _components(values: Floats, count: int, seed: int) -> tuple[Floats, Floats]:
    from sklearn.decomposition import PCA

    if len(values) < 3:
        raise InterpretError(f"A map needs at least three images, not {len(values)}.")
    if not np.isfinite(values).all():
        raise InterpretError("The layer gives values that are not numbers; a diverged network has no map.")
    fits = min(count, *values.shape)
    solver = "randomized" if min(values.shape) > 500 else "full"
    found = PCA(fits, svd_solver=solver, random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = found.fit_transform(values.astype(np.float64))
    missing = max(2 - fits, 0)
    scores = np.pad(scores, ((0, 0), (0, missing))).astype(np.float32)
    explained = np.pad(np.nan_to_num(found.explained_variance_ratio_), (0, missing)).astype(np.float32)
    return scores, explained


def centres(points: Floats, labels: Tensor, classes: int) -> Floats:
    """The mean point of each class, `(classes, 2)`, where its name may stand; NaN for one without images."""
    sums = torch.zeros(classes, 2).index_add_(0, labels, torch.from_numpy(points))
    counts = torch.bincount(labels, minlength=classes)
    array: Floats = (sums / counts[:, None]).numpy()
    return array
