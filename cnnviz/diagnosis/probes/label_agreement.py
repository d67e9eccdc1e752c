"""Whether labels follow from images: by neighbours, by a linear classifier of patches, by sure answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject
from cnnviz.training.census import neighbours
from cnnviz.training.evaluate import probabilities
from cnnviz.training.fixed import png
from cnnviz.training.material import Labelled
from cnnviz.training.patch_classifier import learnt_share

IMAGES = 2_000
SUREST = 5
"""One in so many answers counts as sure."""
DOUBTED, SURE = 8, 0.9
"""Images that are shown, and how sure of another class the network is of them at least."""


def _told(found: Mapping[str, Any]) -> str:
    near, patches = found["neighbours"], found["patches"]
    said = []
    if near is not None:
        said.append(
            f"An image's nearest neighbours have its label {percent(near['share'])} of the time, "
            f"{percent(near['chance'])} by chance."
        )
    if patches is not None:
        said.append(
            f"A linear classifier of small patches names {percent(patches['share'])} of unseen images, "
            f"{percent(patches['chance'])} would be had by one answer for all."
        )
    return " ".join(said) or "There are too few images to tell."


@register(
    "label-agreement",
    title="Labels and images",
    summary="Labels should be what an image's neighbours, patches and a trained network say they are.",
    told=_told,
)
def label_agreement(subject: Subject) -> Found:
    """`neighbours` as the census counts, `patches`, and with a checkpoint `confident` and `doubted`.

    `patches`: the `share` of labels that a linear classifier of random patches gives to training images that
    it has not seen, `chance` that of the commonest class, of `images` images. `confident`, for the parts
    `validation` and `test`: `accuracy` of all answers and the `share` that is right of the surest fifth,
    which are `images`. `doubted`: training images (rows, PNG, `label`, `answer`) of whose other class the
    network is `sure`.
    """
    train = subject.material.train
    sample = Labelled(*subject.some(train, IMAGES))
    found: Found = {
        "neighbours": neighbours(sample, len(subject.material.classes)),
        "patches": learnt_share(sample.images[:], sample.labels, len(subject.material.classes)),
    }
    if subject.trained is None:
        return found
    parts = {"validation": subject.material.validation, "test": subject.material.test}
    confident = {name: _confident(subject, part) for name, part in parts.items() if len(part) >= 10 * SUREST}
    return found | {"confident": confident, "doubted": _doubted(subject)}


def _confident(subject: Subject, part: Labelled) -> dict[str, Any]:
    images, labels = subject.some(part, subject.affordable(4))
    sure, answers = _answers(subject, images)
    surest = sure.topk(max(1, len(labels) // SUREST)).indices
    right = (answers == labels).double()
    return {
        "accuracy": float(right.mean()),
        "share": float(right[surest].mean()),
        "images": len(surest),
    }


def _doubted(subject: Subject) -> list[dict[str, Any]]:
    train = subject.material.train
    rows = subject.rows(train, subject.affordable(4))
    sure, answers = _answers(subject, train.images[rows])
    labels = train.labels[rows]
    sure = torch.where(answers == labels, torch.zeros_like(sure), sure)
    return [
        {
            "row": int(rows[at]),
            "label": int(labels[at]),
            "answer": int(answers[at]),
            "sure": float(sure[at]),
            "png": png(train.images[rows[at : at + 1]][0].cpu()),
        }
        for at in sure.argsort(descending=True)[:DOUBTED].tolist()
        if sure[at] >= SURE
    ]


def _answers(subject: Subject, images: Tensor) -> tuple[Tensor, Tensor]:
    """How sure the checkpoint is of its answer to each image, and the answers."""
    found = probabilities(subject.copy(), images, subject.preparation).max(1)
    return found.values, found.indices
