"""Probes of the data: label agreement, duplicates between splits, shuffled inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probes import Result, register
from cnnviz.diagnosis.probes.context import ProbeContext, main_logits
from cnnviz.training.data import Labelled, StreamedImages, portion
from cnnviz.training.data.label_agreement import SIDE, half_split_accuracy, neighbours
from cnnviz.training.data.quality import repeats
from cnnviz.training.metrics import png, probabilities

# Label agreement: of neighbors, of the patch classifier, of confident predictions.

IMAGES = 2_000
SUREST = 5
"""One in so many predictions counts as confident."""
DOUBTED, SURE = 8, 0.9
"""Images that are shown, and the least probability of another class than their label."""


def _describe_agreement(agreement: Mapping[str, Any]) -> str:
    neighbors, patches = agreement["neighbours"], agreement["patches"]
    sentences = []
    if neighbors is not None:
        sentences.append(
            f"An image's nearest neighbors have its label {percent(neighbors['share'])} of the time, "
            f"{percent(neighbors['chance'])} by chance."
        )
    if patches is not None:
        sentences.append(
            f"A linear classifier of small patches names {percent(patches['share'])} of unseen images, "
            f"{percent(patches['chance'])} would be had by one answer for all."
        )
    return " ".join(sentences) or "There are too few images to tell."


@register(
    "label-agreement",
    title="Labels and images",
    summary="Labels should be what an image's neighbors, patches and a trained network say they are.",
    describe=_describe_agreement,
)
def label_agreement(context: ProbeContext) -> Result:
    """Measure label agreement of neighbors, of the patch classifier and, with a checkpoint, of the network.

    Returns:
        `neighbours`: the entry of the data-quality report.
        `patches`: `share`, the patch classifier's accuracy on `images` training images that it was not fitted
        on, and `chance`, that of the most common class.
        `confident`, for the parts `validation` and `test`: `accuracy` of all predictions, and `share`, that
        of the most confident fifth, which are `images`.
        `doubted`: training images (`row`, `png`, `label`, `answer`) that the network predicts as another
        class, with probability `sure`.
    """
    train = context.data_module.train
    sample = Labelled(*context.some(train, IMAGES))
    result: Result = {
        "neighbours": neighbours(sample, len(context.data_module.classes)),
        "patches": half_split_accuracy(sample.images[:], sample.labels, len(context.data_module.classes)),
    }
    if context.trained is None:
        return result
    parts = {"validation": context.data_module.validation, "test": context.data_module.test}
    confident = {name: _confident(context, part) for name, part in parts.items() if len(part) >= 10 * SUREST}
    return result | {"confident": confident, "doubted": _doubted(context)}


def _confident(context: ProbeContext, part: Labelled) -> dict[str, Any]:
    images, labels = context.some(part, context.affordable(4))
    confidence, predicted = _predict(context, images)
    surest = confidence.topk(max(1, len(labels) // SUREST)).indices
    right = (predicted == labels).double()
    return {
        "accuracy": float(right.mean()),
        "share": float(right[surest].mean()),
        "images": len(surest),
    }


def _doubted(context: ProbeContext) -> list[dict[str, Any]]:
    train = context.data_module.train
    rows = context.rows(train, context.affordable(4))
    confidence, predicted = _predict(context, train.images[rows])
    labels = train.labels[rows]
    confidence = torch.where(predicted == labels, torch.zeros_like(confidence), confidence)
    return [
        {
            "row": int(rows[index]),
            "label": int(labels[index]),
            "answer": int(predicted[index]),
            "sure": float(confidence[index]),
            "png": png(train.images[rows[index : index + 1]][0].cpu()),
        }
        for index in confidence.argsort(descending=True)[:DOUBTED].tolist()
        if confidence[index] >= SURE
    ]


def _predict(context: ProbeContext, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of the checkpoint's prediction for each image, and the predictions."""
    best = probabilities(context.copy(), images, context.transform).max(1)
    return best.values, best.indices


# Duplicates between training and test images, exact or near.

TESTED, KNOWN = 1_000, 20_000
"""Most test images that are looked up, and most training images that they are compared with."""
NEAR = 4.0
"""Root-mean-square difference in shades of 255: that of a JPEG of medium quality."""
CONTRAST = 12.0
"""Standard deviation in shades: images with less are all nearly alike, and inconclusive."""


def _describe_duplicates(duplicates: Mapping[str, Any]) -> str:
    exact, near_duplicates = duplicates["exact"], duplicates["near"]
    sentences = []
    if exact is not None:
        sentences.append(
            f"{exact['test']:,} test and {exact['validation']:,} validation images lie among the training "
            "images, pixel by pixel."
        )
    if near_duplicates is not None:
        sentences.append(
            f"{percent(near_duplicates['share'], 1)} of {near_duplicates['images']:,} test images differ "
            "from one of "
            f"{near_duplicates['known']:,} training images by less than {near_duplicates['threshold']:g} of "
            "255 shades."
        )
    return " ".join(sentences) or "Images that are decoded as they are needed are not compared."


@register(
    "duplicates",
    title="Images in two parts",
    summary="No image that judges the network should be one, or nearly one, that it learned from.",
    describe=_describe_duplicates,
)
def duplicates(context: ProbeContext) -> Result:
    """Count exact and near duplicates between training and held-out images.

    `exact` is that of `cnnviz.training.data.quality.repeats`, None for streamed images. `near` is of test
    images downsampled to 16×16: `share`, the fraction that differ from a training image, or its mirror image,
    by less than `threshold` shades root mean square; `images` were compared with `known`.
    """
    data_module = context.data_module
    if not len(data_module.test):
        return {"exact": repeats(data_module), "near": None}
    tested, known = (
        _reduced(part.images, context.rows(part, most))
        for part, most in ((data_module.test, TESTED), (data_module.train, KNOWN))
    )
    tested = tested[tested.std(1) > CONTRAST]
    distances = torch.stack([_nearest(tested, known), _nearest(_mirrored(tested), known)]).amin(0)
    return {
        "exact": repeats(data_module),
        "near": {
            "share": float((distances < NEAR).double().mean()) if len(distances) else 0.0,
            "threshold": NEAR,
            "images": len(distances),
            "known": len(known),
        },
    }


def _reduced(images: Tensor | StreamedImages, rows: Tensor) -> Tensor:
    """Downsample the images of `rows` to `(N, C·16·16)` shades."""
    small = [
        functional.interpolate(images[part].float(), (SIDE, SIDE), mode="bilinear", antialias=True).flatten(1)
        for part in torch.split(rows, portion(images.shape))
    ]
    return torch.cat(small)


def _mirrored(vectors: Tensor) -> Tensor:
    return vectors.view(len(vectors), -1, SIDE).flip(-1).flatten(1)


def _nearest(vectors: Tensor, others: Tensor) -> Tensor:
    """Return the distance of each of `(N, F)` to the nearest of `(M, F)`, root mean square over F."""
    nearest = [torch.cdist(part, others).amin(1) for part in torch.split(vectors, 250)]
    return torch.cat(nearest) / vectors.shape[1] ** 0.5 if nearest else vectors.new_zeros(0)


# Dependence of the prediction on the image, and on the arrangement of its pixels.


def _describe_shuffled(figures: Mapping[str, Any]) -> str:
    return (
        f"Test accuracy is {percent(figures['accuracy'], 1)}, and "
        f"{percent(figures['accuracy_pixels_shuffled'], 1)} with every image's pixels in disorder; another "
        f"image in its place moves {percent(figures['moved_by_exchange'])} of an answer's probability."
    )


@register(
    "shuffled-inputs",
    title="Answers to shuffled images",
    summary="With pixels in disorder, or another image in its place, answers should change.",
    trained=True,
    describe=_describe_shuffled,
)
def shuffled_inputs(context: ProbeContext) -> Result:
    """Measure how accuracy and predictions of the trained network change for shuffled test images.

    Returns:
        `accuracy`, unchanged, and `accuracy_pixels_shuffled`, with the pixels of every image in one random
        order. `moved_by_shuffling` and `moved_by_exchange` are mean total-variation distances, in [0, 1],
        between the class probabilities of an image and those of its shuffled version, or of the next image;
        at 0 the prediction does not depend on the input.
    """
    model = context.copy().eval()
    part = context.data_module.test if len(context.data_module.test) else context.data_module.train
    images, labels = context.some(part, context.affordable(2))
    x = context.transform.test(images)
    seed = torch.Generator().manual_seed(0)
    order = torch.randperm(x[0, 0].numel(), generator=seed).to(x.device)
    plain, mixed = _predict_shuffled(model, x), _predict_shuffled(model, x.flatten(2)[..., order].view_as(x))
    return {
        "accuracy": _accuracy(plain, labels),
        "accuracy_pixels_shuffled": _accuracy(mixed, labels),
        "moved_by_shuffling": _moved(plain, mixed),
        "moved_by_exchange": _moved(plain, plain.roll(1, 0)),
        "images": len(labels),
    }


def _predict_shuffled(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([main_logits(model(part)).float().softmax(1) for part in torch.split(x, 250)])


def _accuracy(predicted: Tensor, labels: Tensor) -> float:
    return float((predicted.argmax(1) == labels).double().mean())


def _moved(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().sum(1).double().mean() / 2)
