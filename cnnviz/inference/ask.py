"""A model's answers to a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz.inference.preprocessing import Preprocessing

BATCH = 256


def probabilities(model: nn.Module, how: Preprocessing, images: Tensor) -> Tensor:
    """Softmax of the logits of uint8 images `(N, C, H, W)` that `steps.stored` gave: float `(N, classes)`.

    Where `how` takes ten crops, their probabilities are averaged (Krizhevsky et al., 2012). The model is in
    evaluation mode.
    """
    with torch.no_grad():
        shares: Tensor = model(how.inputs(images)).float().softmax(1)
    return shares.reshape(-1, len(images), shares.shape[1]).mean(0)


def accuracy(model: nn.Module, how: Preprocessing, images: Tensor, labels: Tensor) -> float:
    """The part of uint8 images `(N, C, H, W)` whose likeliest class is their label `(N,)`."""
    parts = zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True)
    right = sum(int((probabilities(model, how, x).argmax(1) == y).sum()) for x, y in parts)
    return right / len(labels)
