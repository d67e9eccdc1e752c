"""Whether the answer depends on the image at all, and on where in it things are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject, main_logits


def _told(found: Mapping[str, Any]) -> str:
    return (
        f"Test accuracy is {percent(found['accuracy'], 1)}, and "
        f"{percent(found['accuracy_pixels_shuffled'], 1)} with every image's pixels in disorder; another "
        f"image in its place moves {percent(found['moved_by_exchange'])} of an answer's probability."
    )


@register(
    "shuffled-inputs",
    title="Answers to shuffled images",
    summary="With pixels in disorder, or another image in its place, answers should change.",
    trained=True,
    told=_told,
)
def shuffled_inputs(subject: Subject) -> Found:
    """Of the trained network on test images: accuracies, and how far answers move.

    `accuracy` is as it is, `accuracy_pixels_shuffled` with the pixels of every image in the same random
    order. `moved_by_shuffling` and `moved_by_exchange` are mean total-variation distances, in [0, 1], between
    the class probabilities of an image and those of it in disorder, or of the next image; at 0 the
    answer does not depend on the input.
    """
    model = subject.copy().eval()
    part = subject.material.test if len(subject.material.test) else subject.material.train
    images, labels = subject.some(part, subject.affordable(2))
    x = subject.preparation.test(images)
    seed = torch.Generator().manual_seed(0)
    order = torch.randperm(x[0, 0].numel(), generator=seed).to(x.device)
    plain, mixed = _answers(model, x), _answers(model, x.flatten(2)[..., order].view_as(x))
    return {
        "accuracy": _share(plain, labels),
        "accuracy_pixels_shuffled": _share(mixed, labels),
        "moved_by_shuffling": _moved(plain, mixed),
        "moved_by_exchange": _moved(plain, plain.roll(1, 0)),
        "images": len(labels),
    }


def _answers(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([main_logits(model(part)).float().softmax(1) for part in torch.split(x, 250)])


def _share(answers: Tensor, labels: Tensor) -> float:
    return float((answers.argmax(1) == labels).double().mean())


def _moved(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().sum(1).double().mean() / 2)
