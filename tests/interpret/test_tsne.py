"""t-SNE against autograd, the definition of perplexity, and scikit-learn."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cnnviz.datasets import Step
from cnnviz.interpret import embedding


def some(count: int = 60, width: int = 8) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def divergence(near: Tensor, points: Tensor) -> Tensor:
    """KL(near ‖ q), from the definition."""
    apart = (points[:, None] - points[None]).square().sum(2)
    close = (1 / (1 + apart)) * (1 - torch.eye(len(points)))
    q = close / close.sum()
    kept = ~torch.eye(len(points), dtype=torch.bool)
    return (near[kept] * (near[kept].log() - q[kept].log())).sum()


def test_every_point_has_the_perplexity() -> None:
    seen = embedding.conditional(some(), 12.0)
    assert torch.special.entr(seen).sum(1).exp().numpy() == pytest.approx(12.0, rel=1e-3)
    near = embedding.affinities(some(), 12.0)
    assert torch.equal(near, near.T)
    assert float(near.sum()) == pytest.approx(1)
    assert (near.diagonal() == 0).all()


def test_the_gradient_is_that_of_the_divergence() -> None:
    near, points = embedding.affinities(some(), 12.0), some(width=2).requires_grad_()
    (expected,) = torch.autograd.grad(divergence(near, points), points)
    assert embedding.gradient(near, points.detach()).numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_it_ends_as_low_as_scikit_learns_and_tells_each_stretch() -> None:
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    digits = load_digits().data[:150].astype(np.float32)
    start = PCA(2, random_state=0).fit_transform(digits)
    start, told = (start / start[:, 0].std() * 1e-4).astype(np.float32), list[Step]()
    values = torch.from_numpy(digits)
    points = embedding.arrange(values, torch.from_numpy(start), 12.0, told.append)
    theirs = TSNE(perplexity=12.0, init=start, method="exact")
    theirs.fit(digits.astype(np.float64))
    assert float(divergence(embedding.affinities(values, 12.0), points)) < 1.1 * theirs.kl_divergence_
    assert [step.done for step in told] == list(range(0, embedding.STEPS, embedding.TELL_EVERY))
    assert {step.total for step in told} == {embedding.STEPS}


def test_points_in_one_place_do_no_harm() -> None:
    points = embedding.arrange(torch.zeros(6, 3), torch.zeros(6, 2), 1.5)
    assert points.isfinite().all()
