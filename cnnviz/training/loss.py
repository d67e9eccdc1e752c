"""The training loss: cross-entropy of labels or of mixed labels, weighted by class; and mixup."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.recipe import Recipe


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Weight each class by how rare it is: n / (k · n_c), scikit-learn's `class_weight="balanced"`.

    Args:
        labels: int64 `(N,)` of the training images.
        classes: How many classes the network has. One without an image takes no part in k, and weighs 1.

    Returns:
        float32 `(classes,)` on the labels' device.
    """
    counts = labels.bincount(minlength=classes).double()
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 1.0).float()


def class_weights(recipe: Recipe, labels: Tensor, classes: int) -> Tensor | None:
    """The weight of each class by the recipe; None where all count alike."""
    return balanced_weights(labels, classes) if recipe.class_weights == "balanced" else None


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float, weight: Tensor | None) -> Tensor:
    """Mean cross-entropy as `torch.nn.CrossEntropyLoss(weight, label_smoothing=…)` has it.

    Args:
        logits: float `(N, classes)`.
        target: Labels int64 `(N,)`, or how much of each image is of which class, float `(N, classes)`.
        smoothing: Part of the truth that is shared among all classes.
        weight: Of each class, float `(classes,)`. The sum is divided by the weights of what was to be said,
            also for mixed labels, where PyTorch divides by the number of images: the scale of the loss does
            then not depend on whether images are mixed.
    """
    if target.dim() == 1:
        return functional.cross_entropy(logits, target, weight, label_smoothing=smoothing)
    if weight is None:
        return functional.cross_entropy(logits, target, label_smoothing=smoothing)
    total = functional.cross_entropy(logits, target, weight, reduction="sum", label_smoothing=smoothing)
    return total / (target @ weight).sum()


def mixup(
    images: Tensor, labels: Tensor, classes: int, alpha: float, seed: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image and its label with another of the batch (Zhang et al., "mixup", ICLR 2018).

    One λ ~ Beta(α, α) a batch, as in the authors' code, and the larger of λ and 1 − λ for the image itself,
    so that its own label stays the likeliest. Pairs (λ, order) and (1 − λ, the inverse order) are the same
    set of mixed images, so the distribution is theirs.

    Args:
        images: float `(N, C, H, W)` as the network reads them.
        labels: int64 `(N,)`.
        classes: How many there are.
        alpha: α above 0.
        seed: Of λ; the same seed, the same λ.
        generator: Of the order, on the images' device.

    Returns:
        Mixed images and float32 labels `(N, classes)`, each row of sum 1.
    """
    drawn = float(np.random.default_rng(seed).beta(alpha, alpha))
    part = max(drawn, 1 - drawn)
    order = torch.randperm(len(images), device=images.device, generator=generator)
    own = functional.one_hot(labels, classes).float()
    return torch.lerp(images[order], images, part), torch.lerp(own[order], own, part)
