"""A model's answers to a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.training.material import Labelled
from cnnviz.training.streamed import split

BATCH = 256


def probabilities(model: nn.Module, how: Preprocessing, images: Tensor) -> Tensor:
    """Softmax of the logits of uint8 images `(N, C, H, W)` that `steps.stored` gave: float `(N, classes)`.

    Where `how` takes ten crops, their probabilities are averaged (Krizhevsky et al., 2012). The model is in
    evaluation mode.
    """
    with torch.no_grad():
        shares: Tensor = model(how.inputs(images)).float().softmax(1)
    return shares.reshape(-1, len(images), shares.shape[1]).mean(0)


def accuracy(model: nn.Module, how: Preprocessing, part: Labelled) -> float:
    """The share of `part`, whose images are as `steps.stored` gives them, that is answered rightly."""
    answers = [probabilities(model, how, images).argmax(1) for images in split(part.images, BATCH)]
    return float((torch.cat(answers) == part.labels).double().mean())
