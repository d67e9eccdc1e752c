"""Metrics: running sums of an epoch without device synchronization, evaluation, tracked images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from cnnviz.training.data import Labelled, StreamedImages, split
from cnnviz.training.data.transforms import Transform
from cnnviz.training.ranks import SINGLE, Ranks

LOSS = "The loss was"


class NonFiniteLossError(ArithmeticError):
    """The loss (or a weight) is NaN or infinite, first at `step` (counted from 1).

    `where` is a sentence appended to the message, with the layer in which it began.
    """

    def __init__(self, step: int, what: str = LOSS, where: str = "") -> None:
        super().__init__(f"{what} no longer a finite number at step {step:,}.{where}")
        self.step, self.what = step, what


@dataclass
class RunningSum:
    """Running sums over images: loss, number of correct predictions, number of images.

    Losses are added step by step, so that a resumed run rounds like an uninterrupted one.
    """

    loss: float = 0.0
    right: float = 0.0
    images: float = 0.0

    @property
    def values(self) -> tuple[float, float, float]:
        """The sums as a tuple, as stored in checkpoints."""
        return self.loss, self.right, self.images


class EpochMetrics:
    """Metric accumulator of an epoch.

    `add` keeps a step's tensors on the device; `drain` fetches all of them in one transfer. In between the
    host never waits for the device.
    """

    def __init__(self, classes: int, ranks: Ranks = SINGLE) -> None:
        self._ranks = ranks
        self.epoch, self.recent = RunningSum(), RunningSum()
        self.predicted = [0] * classes
        """Number of training images predicted as each class in this epoch."""
        self.auxiliary: list[float] = []
        """Summed loss of each auxiliary classifier since the last report.

        Empty without auxiliary classifiers, and until the next report if a checkpoint did not store them.
        """
        self._waiting: list[tuple[int, Tensor, Tensor, Tensor, float]] = []

    def add(self, step: int, losses: Tensor, predicted: Tensor, labels: Tensor, part: float = 1.0) -> None:
        """Add the results of a step without waiting for the device.

        Args:
            step: From 1.
            losses: Mean losses, as returned by `TrainStep`.
            predicted: Predicted classes `(N,)`.
            labels: True classes `(N,)`.
            part: With several ranks, whose rows these are: weight of this rank's losses in the mean over the
                whole batch; 0 if its row belongs to another rank.
        """
        count = len(labels) if part else 0
        self._waiting.append((step, losses, predicted[:count], labels[:count], part))

    def drain(self) -> None:
        """Fetch all pending results; raise `NonFiniteLossError` for the first step with a non-finite loss."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        sizes = [len(labels) for _, _, _, labels, _ in waiting]
        means = torch.stack([losses for _, losses, *_ in waiting])
        predicted = torch.cat([predicted for _, _, predicted, *_ in waiting])
        right = int((predicted == torch.cat([labels for _, _, _, labels, _ in waiting])).sum())
        counts = predicted.bincount(minlength=len(self.predicted)).tolist()
        if self._ranks.several:
            parts = torch.tensor([part for *_, part in waiting], dtype=torch.float64)
            means, sizes, right, counts = self._over_ranks(means, parts, sizes, right, counts)
        losses: list[list[float]] = means.tolist()
        if not self.recent.images:
            self.auxiliary = [0.0] * (len(losses[0]) - 1)
        for (step, *_), size, (loss, *extra) in zip(waiting, sizes, losses, strict=True):
            if not math.isfinite(loss):
                raise NonFiniteLossError(step)
            for sums in (self.epoch, self.recent):
                sums.loss += loss * size
                sums.images += size
            self.auxiliary = [
                old + extra_loss * size for old, extra_loss in zip(self.auxiliary, extra, strict=False)
            ]
        for sums in (self.epoch, self.recent):
            sums.right += right
        self.predicted = [old + new for old, new in zip(self.predicted, counts, strict=True)]

    def _over_ranks(
        self, losses: Tensor, parts: Tensor, sizes: list[int], right: int, counts: list[int]
    ) -> tuple[Tensor, list[int], int, list[int]]:
        """Combine the results of all ranks, for all pending steps in one all-reduce."""
        weighted = losses.detach().cpu().double() * parts[:, None]
        counters = torch.tensor([right, *sizes, *counts], dtype=torch.float64)
        flat = self._ranks.sum(torch.cat([weighted.flatten(), counters]))
        means = flat[: weighted.numel()].view_as(weighted)
        right, *counts_of_steps = (int(value) for value in flat[weighted.numel() :].tolist())
        return means, counts_of_steps[: len(sizes)], right, counts_of_steps[len(sizes) :]

    def begin_epoch(self) -> None:
        """Reset the sums of the epoch."""
        self.epoch, self.predicted = RunningSum(), [0] * len(self.predicted)

    def begin_report(self) -> None:
        """Reset the sums since the last report."""
        self.recent, self.auxiliary = RunningSum(), []

    def restore(
        self, sums: tuple[float, ...], predicted: tuple[int, ...], auxiliary: tuple[float, ...]
    ) -> None:
        """Restore the sums of a checkpoint: three of the epoch, three of the report, and the rest."""
        self.epoch, self.recent = RunningSum(*sums[:3]), RunningSum(*sums[3:])
        self.predicted = list(predicted) or [0] * len(self.predicted)
        self.auxiliary = list(auxiliary)


# Evaluation.

# Batch normalization: its layers, their momentum, and batch statistics in place of running statistics.


def batch_norm_layers(model: nn.Module) -> dict[str, _BatchNorm]:
    """Return the layers with running statistics by name, in the model's order."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, _BatchNorm) and part.track_running_stats and part.running_mean is not None
    }


def describe_batch_norm(model: nn.Module) -> list[dict[str, Any]]:
    """Return `name`, `momentum` (None: cumulative mean) and `updates` of each batch-norm layer."""
    return [
        {"name": name, "momentum": _number(part.momentum), "updates": _updates(part)}
        for name, part in batch_norm_layers(model).items()
    ]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Make batch normalization use batch statistics within the block, in a model in evaluation mode.

    Running statistics and their batch counters are neither read nor changed.
    """
    layers = [part for part in batch_norm_layers(model).values() if not part.training]
    for part in layers:
        # In training mode without tracking PyTorch passes no running statistics to the kernel.
        part.training, part.track_running_stats = True, False
    try:
        yield
    finally:
        for part in layers:
            part.training, part.track_running_stats = False, True


def _number(momentum: float | None) -> float | None:
    return None if momentum is None else float(momentum)


def _updates(part: _BatchNorm) -> int:
    return 0 if part.num_batches_tracked is None else int(part.num_batches_tracked)


_MAX_IMAGES = 1000
_MAX_PIXELS = 6_000_000
"""Pixels per batch: some 120 images of 224×224, which need no more memory than a small training step."""


@dataclass(frozen=True)
class Score:
    """Evaluation result of a set of images; accuracies are fractions in [0, 1].

    `confusion` is int64 `(classes, classes)`: rows are true classes, columns predicted ones.
    """

    loss: float
    accuracy: float
    top5: float
    confusion: Tensor
    logit_spread: float
    """Standard deviation of logits over images, averaged over classes; near 0 for a constant output."""
    in_training_mode: tuple[str, ...] = ()
    """Layers in training mode during evaluation: none, unless a model overrides `eval()`."""

    @property
    def by_class(self) -> list[float]:
        """Accuracy of each class; 0 for a class without images."""
        hits, counts = self.confusion.diagonal(), self.confusion.sum(1)
        return [float(value) for value in (hits / counts.clamp(min=1)).tolist()]

    @property
    def predicted(self) -> list[int]:
        """Number of images predicted as each class."""
        return [int(value) for value in self.confusion.sum(0).tolist()]


def evaluate(
    model: nn.Module,
    images: Labelled,
    transform: Transform,
    batch: int | None = None,
    *,
    by_batch: bool = False,
    ranks: Ranks = SINGLE,
) -> Score:
    """Evaluate a model on images in evaluation mode, and restore its mode.

    The loss is plain cross-entropy, without label smoothing or auxiliary losses. With ten crops, class
    probabilities are averaged, as in Krizhevsky et al., 2012.

    Args:
        model: The model.
        images: Images and labels.
        transform: Preprocessing; its recipe sets the precision.
        batch: Batch size; chosen by the size of the images by default.
        by_batch: Let batch normalization use batch statistics in place of running ones, which are not
            changed.
        ranks: With several ranks each evaluates a part, and all return the complete result.
    """
    batch = batch or evaluation_batch(transform)
    if ranks.several:
        parts = (_rows(images.images, rows) for rows in _in_batches(ranks.rows(len(images)), batch))
        own_logits, in_training = _all_logits(model, parts, transform, by_batch)
        logits = ranks.gather_rows(own_logits, len(images))
    else:
        logits, in_training = _all_logits(model, split(images.images, batch), transform, by_batch)
    # Late import: it loads torchvision (90 MB), which pages that only read a checkpoint do not need.
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    labels = images.labels
    count = logits.shape[1]
    top = logits.topk(min(5, count)).indices
    confusion = multiclass_confusion_matrix(top[:, 0], labels, num_classes=count, validate_args=False)
    return Score(
        loss=float(functional.cross_entropy(logits, labels)),
        accuracy=float((top[:, 0] == labels).cpu().double().mean()),
        top5=float((top == labels[:, None]).any(1).cpu().double().mean()),
        confusion=confusion.cpu(),
        logit_spread=float(logits.std(0, correction=0).mean()),
        in_training_mode=in_training,
    )


def probabilities(model: nn.Module, images: Tensor, transform: Transform) -> Tensor:
    """Return class probabilities, float32 `(N, classes)`, of uint8 images `(N, C, H, W)`."""
    parts = split(images, evaluation_batch(transform))
    return _all_logits(model, parts, transform)[0].softmax(1)


def _in_batches(rows: Tensor, batch: int) -> Iterator[Tensor]:
    return (rows[start : start + batch] for start in range(0, len(rows), batch))


def _rows(images: Tensor | StreamedImages, rows: Tensor) -> Tensor:
    """Return the images at `rows`; lazily decoded images are indexed on the CPU."""
    return images[rows] if isinstance(images, StreamedImages) else images[rows.to(images.device)]


def _all_logits(
    model: nn.Module,
    parts: Iterable[Tensor],
    transform: Transform,
    by_batch: bool = False,
) -> tuple[Tensor, tuple[str, ...]]:
    """Return the logits, and the names of layers that are in training mode despite `eval()`."""
    training = model.training
    model.eval()
    in_training = tuple(
        name for name, part in model.named_modules() if part.training and not any(part.children())
    )
    try:
        with torch.no_grad(), batch_statistics(model) if by_batch else nullcontext():
            return torch.cat([_logits(model, part, transform) for part in parts]), in_training
    finally:
        model.train(training)


def evaluation_batch(transform: Transform) -> int:
    """Return the default batch size of an evaluation, by the size of the images."""
    height, width = transform.side
    crops = 10 if transform.recipe.ten_crop else 1
    return max(1, min(_MAX_IMAGES, _MAX_PIXELS // (height * width * crops)))


def _logits(model: nn.Module, images: Tensor, transform: Transform) -> Tensor:
    x = transform.test(images)
    is_half_precision = transform.recipe.precision == "bf16"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=is_half_precision):
        logits: Tensor = model(x)
    logits = logits.float()
    if len(x) == len(images):
        return logits
    crops = logits.softmax(1).reshape(-1, len(images), logits.shape[1])
    return crops.mean(0).log()


# Tracked images: a few test images whose predictions are recorded throughout a run.

MAX_TRACKED = 10
_TOP = 3
_LARGEST_SIDE = 128


@dataclass(frozen=True)
class TrackedImages:
    """Up to ten test images: the first of each class, filled up with the first images."""

    numbers: tuple[int, ...]
    """Indices in the test split."""
    chosen: Labelled

    @classmethod
    def of(cls, test: Labelled) -> TrackedImages:
        """Select the images; none if there are no test images."""
        labels = test.labels.tolist()
        first_of_class = {label: number for number, label in reversed(list(enumerate(labels)))}
        numbers = [first_of_class[label] for label in sorted(first_of_class)[:MAX_TRACKED]]
        remaining = (number for number in range(len(labels)) if number not in set(numbers))
        numbers += [number for number, _ in zip(remaining, range(MAX_TRACKED - len(numbers)), strict=False)]
        rows = torch.tensor(numbers, dtype=torch.int64, device=test.labels.device)
        return cls(tuple(numbers), Labelled(test.images[rows], test.labels[rows]))

    def pictures(self) -> list[dict[str, Any]]:
        """Return the record `fixed_images`: index, label, and a base64 PNG of at most 128×128 pixels."""
        images, labels = self.chosen.images[:].cpu(), self.chosen.labels.tolist()
        return [
            {"index": number, "label": label, "png": png(image)}
            for number, label, image in zip(self.numbers, labels, images, strict=True)
        ]

    def predictions(self, model: nn.Module, transform: Transform) -> list[dict[str, Any]]:
        """Return the record `fixed_predictions`: top-3 classes and probabilities of each image."""
        if not self.numbers:
            return []
        class_probabilities = probabilities(model, self.chosen.images[:], transform)
        values, classes = class_probabilities.topk(min(_TOP, class_probabilities.shape[1]))
        pairs = torch.stack([classes.cpu().double(), values.cpu().double()], dim=2).tolist()
        return [
            {"index": number, "top": [[int(label), value] for label, value in top]}
            for number, top in zip(self.numbers, pairs, strict=True)
        ]


def png(image: Tensor) -> str:
    """Encode an image, uint8 `(C, H, W)`, as a base64 PNG of at most 128×128 pixels."""
    from PIL import Image

    pixels = image.permute(1, 2, 0).contiguous().numpy()
    thumbnail = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    thumbnail.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    file = io.BytesIO()
    thumbnail.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
