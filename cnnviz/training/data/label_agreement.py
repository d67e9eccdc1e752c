"""Label agreement: whether labels are related to images, by nearest neighbors and by a patch classifier."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.data import DataModule, Labelled, StreamedImages, portion

# Nearest neighbors: how often they have an image's label.

NEIGHBOURS = 5
SAMPLE = 2000
"""Sample size for nearest neighbors: a fraction of 10,000 pairs is known to about a percentage point."""
MAX_CLASSES = 200
"""Maximum number of classes for the comparison of classes."""
SIDE = 16
"""Side in pixels for comparison of images: position and brightness count, detail does not."""


@dataclass(frozen=True)
class Outlined:
    """A sample of labeled images as unit vectors (`outline`), with the nearest neighbors of each."""

    vectors: Tensor
    labels: Tensor
    near: Tensor
    """Rows of the `NEIGHBOURS` nearest others, nearest first, int64 `(N, NEIGHBOURS)`."""
    likeness: Tensor
    """Cosine similarity of the nearest, in [-1, 1], `(N,)`."""

    @classmethod
    def of(cls, part: Labelled) -> Outlined | None:
        """Sample at most `SAMPLE` images of `part`; None if it has fewer than 20."""
        if len(part) < 4 * NEIGHBOURS:
            return None
        return cls.of_vectors(*_sample(part))

    @classmethod
    def of_vectors(cls, vectors: Tensor, labels: Tensor) -> Outlined:
        """Find the neighbors among unit vectors `(N, V)`, of more than `NEIGHBOURS` images."""
        likeness = vectors @ vectors.T
        likeness.fill_diagonal_(-torch.inf)
        top = likeness.topk(NEIGHBOURS, dim=1)
        return cls(vectors, labels, top.indices, top.values[:, 0])

    def neighbours(self, classes: int) -> dict[str, Any]:
        """Return label agreement; see the function `neighbours`."""
        return _agreement(self.labels, self, self.near, classes)


def neighbours(train: Labelled, classes: int) -> dict[str, Any] | None:
    """Measure how often an image's nearest neighbors have its label, compared with chance.

    Returns:
        `share`, over the `NEIGHBOURS` nearest of each of `images` images (by cosine similarity of zero-mean
        pixels at `SIDE`×`SIDE`), and `chance`, over all pairs: Σ p² of the class fractions. None for fewer
        than 20 images.
    """
    outlined = Outlined.of(train)
    return outlined.neighbours(classes) if outlined else None


def neighbours_of_test(test: Labelled, train: Outlined, classes: int) -> dict[str, Any] | None:
    """Measure how often the training images nearest to a test image have its label.

    Returns:
        `share`, `images` and `each` as in `neighbours`; `chance` is Σ p·p′ of the class fractions of both
        splits. `nearer` is the fraction of test images whose nearest training image is nearer than the median
        nearest neighbor within the training images: 1/2 if both splits come from one source. `confusion`, for
        at most `MAX_CLASSES` classes, counts the neighbors: row the test image's label, column the
        neighbor's. None for fewer than 20 test images.
    """
    if len(test) < 4 * NEIGHBOURS:
        return None
    return agreement_across(*_sample(test), train, classes)


def agreement_across(vectors: Tensor, labels: Tensor, train: Outlined, classes: int) -> dict[str, Any]:
    """Return what `neighbours_of_test` does, of unit vectors `(N, V)` and labels `(N,)`."""
    top = (vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1)
    nearer = top.values[:, 0] > train.likeness.median()
    agreement = _agreement(labels, train, top.indices, classes) | {
        "nearer": float(nearer.cpu().double().mean())
    }
    if classes > MAX_CLASSES:
        return agreement
    pairs = labels[:, None] * classes + train.labels[top.indices]
    counts = pairs.flatten().bincount(minlength=classes**2).reshape(classes, classes)
    return agreement | {"confusion": counts.tolist()}


def resembled(test: Labelled, train: Outlined, classes: int) -> list[dict[str, Any]] | None:
    """Find the training class that the test images of each class resemble most: reveals swapped labels.

    Returns:
        For each class with test images: `label`, the number of `images` compared, the class `like` that most
        of their `NEIGHBOURS` nearest training images have, and its `share`. None for fewer than 20 test
        images, and for more than `MAX_CLASSES` classes.
    """
    if len(test) < 4 * NEIGHBOURS or classes > MAX_CLASSES:
        return None
    vectors, labels = _sample(test)
    near = train.labels[(vectors @ train.vectors.T).topk(NEIGHBOURS, dim=1).indices]
    pairs = (labels[:, None] * classes + near).flatten().bincount(minlength=classes**2)
    table = pairs.view(classes, classes)
    totals, (shares, like) = table.sum(1), (table / table.sum(1, keepdim=True).clamp(min=1)).max(1)
    return [
        {"label": label, "images": total // NEIGHBOURS, "like": like_label, "share": share}
        for label, (total, like_label, share) in enumerate(
            zip(totals.tolist(), like.tolist(), shares.tolist(), strict=True)
        )
        if total
    ]


def _sample(part: Labelled) -> tuple[Tensor, Tensor]:
    """Return at most `SAMPLE` random images of `part` as unit vectors (`outline`), and their labels."""
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:SAMPLE]
    rows = rows.to(part.labels.device)
    outlined = [
        outline(part.images[part_rows]) for part_rows in torch.split(rows, portion(part.images.shape))
    ]
    return torch.cat(outlined), part.labels[rows]


def _agreement(labels: Tensor, known: Outlined, near: Tensor, classes: int) -> dict[str, Any]:
    """Return how often `labels`, int64 `(N,)`, equal those of their neighbors, rows `near` of `known`."""
    shares, others = (
        split_labels.bincount(minlength=classes).cpu().double() / len(split_labels)
        for split_labels in (labels, known.labels)
    )
    return {
        "share": float((known.labels[near] == labels[:, None]).cpu().double().mean()),
        "chance": float((shares * others).sum()),
        "images": len(labels),
        "each": near.shape[1],
    }


def outline(images: Tensor) -> Tensor:
    """Return images `(N, C, H, W)` as unit vectors `(N, C·SIDE²)`; dot products are similarities."""
    small = functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    flat = small.flatten(1)
    return functional.normalize(flat - flat.mean(1, keepdim=True))


# Patch classifier: random patches as filters and a linear layer in closed form, without training.
#
# After Coates and Ng, "Learning feature representations with k-means" (2012), without the k-means: patches
# are whitened, correlated with the image, rectified both ways, and averaged over quadrants. It shares neither
# optimizer nor architecture with the network under test, so both fail together only because of the data.

PATCH, STRIDE, FILTERS = 5, 2, 128
WHITENING, THRESHOLD, RIDGE = 0.1, 0.25, 0.3
"""As in the paper; the ridge penalty is per image, for features of unit variance."""
LARGEST = 32
"""Side in pixels that images are reduced to."""
SMALLEST = 8
"""Minimum side in pixels; smaller images have too few patches."""
SOURCES = 500
"""Number of images that patches are taken from."""
CHUNK = 50
"""Images processed at once: 128 maps of 14×14 in single precision are 100 KB per image."""
LEARNED, SCORED = 2000, 1000
"""Maximum numbers of images for training and for scoring the baseline, test images first."""
LEARNED_STREAMED, SCORED_STREAMED = 400, 200
"""The same for lazily decoded images."""
MIN_IMAGES = 10
"""Minimum number of images of a split whose accuracy is reported."""
SECONDS = 20.0
"""Maximum CPU time of a baseline, usually one or two seconds; time of other threads does not count."""


def baseline(data_module: DataModule, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure the accuracy of the patch classifier on a run's images: the record `baseline`.

    Returns:
        `learned_from` (number of training images, a sample), and for `test` and `validation` a dict of
        `images` (a sample, `SCORED` in both together), `accuracy` and `constant` (accuracy of the most common
        training class), or None for a split with fewer than `MIN_IMAGES` images. Or `skipped`, a message on
        why nothing was measured.
    """
    parts = {"test": data_module.test, "validation": data_module.validation}
    streams = isinstance(data_module.train.images, StreamedImages)
    learned, scored = (LEARNED_STREAMED, SCORED_STREAMED) if streams else (LEARNED, SCORED)
    if min(data_module.train.images.shape[-2:]) < SMALLEST:
        return {"skipped": f"Images below {SMALLEST} pixels a side have too few patches to compare."}
    if len(data_module.train) < MIN_IMAGES or all(len(part) < MIN_IMAGES for part in parts.values()):
        return {"skipped": f"There are fewer than {MIN_IMAGES} images to learn from, or to be scored on."}
    deadline = time.thread_time() + seconds
    try:
        train = _labelled_rows(data_module.train, learned)
        model = PatchClassifier(train.images, train.labels, len(data_module.classes), deadline)
        result: dict[str, Any] = {"learned_from": len(train.labels)}
        for name, part in parts.items():
            sample = _labelled_rows(part, scored)
            result[name] = _score(model, sample) if len(sample.labels) >= MIN_IMAGES else None
            scored -= len(sample.labels)
        return result
    except TimeoutError:
        return {"skipped": f"It was given up after {seconds:g} seconds of work."}
    except RuntimeError as error:  # Out of memory, or a singular system: neither should fail the run.
        return {"skipped": f"It could not be computed: {str(error).splitlines()[0]}"}


def half_split_accuracy(images: Tensor, labels: Tensor, classes: int) -> dict[str, Any] | None:
    """Train on one half of `images`, uint8 `(N, C, H, W)`, and measure accuracy on the other.

    Returns:
        `share` (accuracy), `chance` (of the most common class) and `images` (of the other half); None for
        images below eight pixels or fewer than 20.
    """
    if len(images) < 20 or min(images.shape[-2:]) < SMALLEST:
        return None
    half = len(images) // 2
    predicted = PatchClassifier(images[:half], labels[:half], classes).predict(images[half:])
    truth = labels[half:]
    return {
        "share": float((predicted == truth).cpu().double().mean()),
        "chance": float(truth.bincount().max()) / len(truth),
        "images": len(truth),
    }


class PatchClassifier:
    """Ridge regression from responses to random patches to one-hot labels.

    Args:
        images: uint8 `(N, C, H, W)`, at least `SMALLEST` pixels a side.
        labels: int64 `(N,)`.
        classes: Number of classes.
        deadline: On the clock of `time.thread_time`; after it `TimeoutError` is raised.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: int, deadline: float = float("inf")) -> None:
        self._deadline = deadline
        self.majority = int(labels.bincount(minlength=classes).argmax())
        self._learn_filters(torch.cat([_small(part) for part in torch.split(images[:SOURCES], CHUNK)]))
        features = self._features(images)
        self._mean, self._std = features.mean(0), features.std(0) + 1e-3
        self._known = (features - self._mean) / self._std
        target = functional.one_hot(labels, classes).float() - 1 / classes
        kernel = self._known @ self._known.T
        kernel.diagonal().add_(RIDGE * len(features))
        # The dual form, on the CPU: not all accelerators support linear solvers.
        solution: Tensor = torch.linalg.solve(kernel.cpu(), target.cpu())
        self._weights = self._known.T @ solution.to(images.device)

    def predict(self, images: Tensor) -> Tensor:
        """Predict the class of each image, int64 `(N,)`."""
        features = (self._features(images) - self._mean) / self._std
        return (features @ self._weights).argmax(1)

    def _learn_filters(self, x: Tensor) -> None:
        patches = functional.unfold(x, PATCH, stride=STRIDE).transpose(1, 2).flatten(0, 1)
        seed = torch.Generator().manual_seed(0)
        patches = patches[torch.randperm(len(patches), generator=seed)[:20_000].to(x.device)]
        patches = (patches - patches.mean(1, keepdim=True)) / (patches.var(1, keepdim=True) + 0.01).sqrt()
        center = patches.mean(0)
        values, vectors = (part.to(x.device) for part in torch.linalg.eigh(torch.cov(patches.T).cpu()))
        whiten = vectors * (values.clamp(min=0) + WHITENING).rsqrt() @ vectors.T
        filters = whiten @ functional.normalize((patches[:FILTERS] - center) @ whiten).T
        self._filters = filters.T.reshape(-1, x.shape[1], PATCH, PATCH).contiguous()
        self._offset = (center @ filters)[:, None, None]

    def _features(self, images: Tensor) -> Tensor:
        """Compute features `(N, 8·FILTERS)` of images uint8 `(N, C, H, W)`."""
        return torch.cat([self._responses(_small(part)) for part in torch.split(images, CHUNK)])

    def _responses(self, x: Tensor) -> Tensor:
        """Compute filter responses, positive and negative parts, averaged over quadrants.

        For a patch p with mean m and standard deviation s, ((p - m)/s - center)·f = (p·f - m·Σf)/s -
        center·f.
        """
        if time.thread_time() > self._deadline:
            raise TimeoutError
        count = x.shape[1] * PATCH**2
        mean = functional.avg_pool2d(x.mean(1, keepdim=True), PATCH, STRIDE)
        square = functional.avg_pool2d(x.square().mean(1, keepdim=True), PATCH, STRIDE)
        std = ((square - mean.square()).clamp(min=0) * (count / (count - 1)) + 0.01).sqrt()
        responses = functional.conv2d(x, self._filters, stride=STRIDE)
        responses.sub_(mean * self._filters.sum((1, 2, 3))[:, None, None]).div_(std).sub_(self._offset)
        quarters = min(2, responses.shape[-1])
        parts = (responses - THRESHOLD).clamp_(min=0), responses.neg_().sub_(THRESHOLD).clamp_(min=0)
        return torch.cat([functional.adaptive_avg_pool2d(part, quarters).flatten(1) for part in parts], 1)


def _score(model: PatchClassifier, part: _Sample) -> dict[str, Any]:
    correct = model.predict(part.images) == part.labels
    constant = part.labels == model.majority
    return {
        "images": len(correct),
        "accuracy": float(correct.cpu().double().mean()),
        "constant": float(constant.cpu().double().mean()),
    }


class _Sample(NamedTuple):
    images: Tensor
    labels: Tensor


def _labelled_rows(part: Labelled, most: int) -> _Sample:
    """Return at most `most` random images of a split, always the same ones."""
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:most]
    rows = rows.to(part.labels.device)
    return _Sample(part.images[rows], part.labels[rows])


def _small(images: Tensor) -> Tensor:
    """Return images uint8 `(N, C, H, W)` as square images in [0, 1], at most `LARGEST` pixels a side."""
    side = min(LARGEST, *images.shape[-2:])
    x = images.float() / 255
    if tuple(x.shape[-2:]) != (side, side):
        x = functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return x
