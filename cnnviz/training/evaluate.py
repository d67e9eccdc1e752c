"""How good a model is on images that it does not learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics.functional.classification import multiclass_confusion_matrix

from cnnviz.training.data.lazy_images import StreamedImages, split
from cnnviz.training.data.tensors import Labelled
from cnnviz.training.data.transforms import Transform
from cnnviz.training.ranks import SINGLE, Ranks

# Batch normalization: which layers have it, with what momentum, and batch in place of running statistics.


def batch_norm_layers(model: nn.Module) -> dict[str, _BatchNorm]:
    """Return the layers that keep running statistics, by name and in the model's order."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, _BatchNorm) and part.track_running_stats and part.running_mean is not None
    }


def describe_batch_norm(model: nn.Module) -> list[dict[str, Any]]:
    """Describe each such layer: `name`, `momentum` (None: a mean over all batches) and `updates` so far."""
    return [
        {"name": name, "momentum": _number(part.momentum), "updates": _updates(part)}
        for name, part in batch_norm_layers(model).items()
    ]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch normalization use each batch's own statistics, in a model that is in evaluation mode.

    Running statistics and their count of batches are neither read nor changed.
    """
    layers = [part for part in batch_norm_layers(model).values() if not part.training]
    for part in layers:
        # Training mode without tracking: PyTorch then hands no running statistics to the kernel at all.
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


_MOST_IMAGES = 1000
_MOST_PIXELS = 6_000_000
"""At once: some 120 images of 224×224, which need no more memory than a training step of a small batch."""


@dataclass(frozen=True)
class Score:
    """Figures over one set of images; accuracies are fractions in [0, 1].

    `confusion` is int64 `(classes, classes)`: row the truth, column the answer.
    """

    loss: float
    accuracy: float
    top5: float
    confusion: Tensor
    logit_spread: float
    """The logits' standard deviation over images, mean over classes; near 0 where all are answered alike."""
    in_training_mode: tuple[str, ...] = ()
    """Layers that were in training mode while they were judged: none, unless a model hinders `eval()`."""

    @property
    def by_class(self) -> list[float]:
        """Accuracy of each class; 0 for a class without images."""
        hits, counts = self.confusion.diagonal(), self.confusion.sum(1)
        return [float(value) for value in (hits / counts.clamp(min=1)).tolist()]

    @property
    def predicted(self) -> list[int]:
        """How many images were given each class."""
        return [int(value) for value in self.confusion.sum(0).tolist()]


def evaluate(
    model: nn.Module,
    images: Labelled,
    preparation: Transform,
    batch: int | None = None,
    *,
    by_batch: bool = False,
    ranks: Ranks = SINGLE,
) -> Score:
    """Judge `model` in evaluation mode on all of `images`, and leave it in the mode it was in.

    Arithmetic is in the recipe's precision. The loss is plain cross-entropy, whatever the training smooths
    or adds. With ten crops, class probabilities are averaged, as in Krizhevsky et al., 2012. `batch` images
    go through at once; by default as many as their size suggests. With `by_batch` batch normalization uses
    each batch's own statistics in place of the running ones, which stay as they are. Several `ranks` judge a
    part each, and all of them get the whole score.
    """
    batch = batch or evaluation_batch(preparation)
    if ranks.several:
        own = (_rows(images.images, rows) for rows in _in_batches(ranks.rows(len(images)), batch))
        part, wrong = _all_logits(model, own, preparation, by_batch)
        logits = ranks.gather_rows(part, len(images))
    else:
        logits, wrong = _all_logits(model, split(images.images, batch), preparation, by_batch)
    labels = images.labels
    count = logits.shape[1]
    best = logits.topk(min(5, count)).indices
    confusion = multiclass_confusion_matrix(best[:, 0], labels, num_classes=count, validate_args=False)
    return Score(
        loss=float(functional.cross_entropy(logits, labels)),
        accuracy=float((best[:, 0] == labels).cpu().double().mean()),
        top5=float((best == labels[:, None]).any(1).cpu().double().mean()),
        confusion=confusion.cpu(),
        logit_spread=float(logits.std(0, correction=0).mean()),
        in_training_mode=wrong,
    )


def probabilities(model: nn.Module, images: Tensor, preparation: Transform) -> Tensor:
    """The probability of each class for uint8 images `(N, C, H, W)`: float32 `(N, classes)`."""
    parts = split(images, evaluation_batch(preparation))
    return _all_logits(model, parts, preparation)[0].softmax(1)


def _in_batches(rows: Tensor, batch: int) -> Iterator[Tensor]:
    return (rows[start : start + batch] for start in range(0, len(rows), batch))


def _rows(images: Tensor | StreamedImages, rows: Tensor) -> Tensor:
    """Some images; what is decoded is looked up on the CPU."""
    return images[rows] if isinstance(images, StreamedImages) else images[rows.to(images.device)]


def _all_logits(
    model: nn.Module,
    parts: Iterable[Tensor],
    preparation: Transform,
    by_batch: bool = False,
) -> tuple[Tensor, tuple[str, ...]]:
    """The logits, and which layers were in training mode all the same."""
    training = model.training
    model.eval()
    wrong = tuple(name for name, part in model.named_modules() if part.training and not any(part.children()))
    try:
        with torch.no_grad(), batch_statistics(model) if by_batch else nullcontext():
            return torch.cat([_logits(model, part, preparation) for part in parts]), wrong
    finally:
        model.train(training)


def evaluation_batch(preparation: Transform) -> int:
    """How many images go through at once where nobody says: as many as their size suggests."""
    height, width = preparation.side
    crops = 10 if preparation.recipe.ten_crop else 1
    return max(1, min(_MOST_IMAGES, _MOST_PIXELS // (height * width * crops)))


def _logits(model: nn.Module, images: Tensor, preparation: Transform) -> Tensor:
    x = preparation.test(images)
    half = preparation.recipe.precision == "bf16"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        logits: Tensor = model(x)
    logits = logits.float()
    if len(x) == len(images):
        return logits
    crops = logits.softmax(1).reshape(-1, len(images), logits.shape[1])
    return crops.mean(0).log()
