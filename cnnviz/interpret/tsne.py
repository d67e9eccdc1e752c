"""t-SNE with exact gradients (van der Maaten and Hinton, 2008), which tells how far it is.

Settings are those of scikit-learn where it is told nothing: early exaggeration by 12 for a quarter of the
steps, a learning rate of N/48 and at least 50, momentum 0.5, then 0.8, and a gain for each coordinate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnnviz.datasets.spec import Progress, Step, silent

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
