"""Evaluation passes of a watched loop: predictions, loss and confusion matrix, accumulated batch by batch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from torch import Tensor

from cnnviz.models.user_code.dry_run import LOGITS
from cnnviz.training.metrics import Score

TOP = 5


class EvaluationPass:
    """Accumulator of one evaluation pass: logits of all images, and metrics of those with labels."""

    def __init__(self, part: str = "test") -> None:
        self.part = part
        self.began = time.perf_counter()
        self.images = 0
        self.labelled = 0
        self.in_training_mode: dict[str, None] = {}
        self._loss = 0.0
        self._top = 0
        self._predicted: Tensor | None = None
        self._confusion: Tensor | None = None
        self._sums: Tensor | None = None
        self._squares: Tensor | None = None

    def add_logits(self, logits: Tensor, in_training_mode: Iterable[str]) -> None:
        """Accumulate a batch's logits `(N, C)`."""
        self.in_training_mode |= dict.fromkeys(in_training_mode)
        if logits.dim() != 2 or logits.shape[1] < 2:
            self.images += len(logits)
            return
        values = logits.detach().double()
        counts = values.argmax(1).bincount(minlength=values.shape[1]).cpu()
        self.images += len(values)
        self._predicted = counts if self._predicted is None else self._predicted + counts
        sums, squares = values.sum(0).cpu(), values.square().sum(0).cpu()
        self._sums = sums if self._sums is None else self._sums + sums
        self._squares = squares if self._squares is None else self._squares + squares

    def add_labels(self, logits: Tensor, labels: Tensor) -> None:
        """Accumulate the metrics of a batch's logits `(N, C)` against its labels `(N,)`."""
        classes = logits.shape[1]
        values, truth = logits.detach().float(), labels.detach().to(logits.device).long()
        valid = (truth >= 0) & (truth < classes)
        values, truth = values[valid], truth[valid]
        if not len(truth):
            return
        predicted = values.argmax(1)
        pairs = (truth * classes + predicted).bincount(minlength=classes * classes)
        matrix = pairs.reshape(classes, classes).cpu()
        self._confusion = matrix if self._confusion is None else self._confusion + matrix
        # Not by torch's loss function, which is wrapped: the monitor would be notified again.
        self._loss -= float(values.log_softmax(1).gather(1, truth[:, None]).sum())
        best = values.topk(min(TOP, classes), 1).indices
        self._top += int((best == truth[:, None]).any(1).sum())
        self.labelled += len(truth)

    @property
    def predicted(self) -> list[int]:
        """Number of images predicted as each class."""
        return [] if self._predicted is None else [int(n) for n in self._predicted.tolist()]

    def score(self) -> Score | None:
        """Return the metrics over all labeled images; None where there are no labels."""
        if self._confusion is None or not self.labelled:
            return None
        spread = 0.0
        if self._sums is not None and self._squares is not None and self.images:
            variance = self._squares / self.images - (self._sums / self.images).square()
            spread = float(variance.clamp(min=0).sqrt().mean())
        return Score(
            loss=self._loss / self.labelled,
            accuracy=float(self._confusion.diagonal().sum()) / self.labelled,
            top5=self._top / self.labelled,
            confusion=self._confusion,
            logit_spread=spread if math.isfinite(spread) else 0.0,
            in_training_mode=tuple(self.in_training_mode),
        )


def as_logits(out: object) -> Tensor | None:
    """Return a network's main output: a mapping's logits entry, else the first `(N, C)` tensor.

    Where no tensor is `(N, C)`, it is the first one.
    """
    if isinstance(out, Tensor):
        return out
    if isinstance(out, dict):
        named = next((out[name] for name in LOGITS if isinstance(out.get(name), Tensor)), None)
        return named if named is not None else as_logits([v for v in out.values() if isinstance(v, Tensor)])
    if isinstance(out, tuple | list):
        tensors = [tensor for tensor in map(as_logits, out) if tensor is not None]
        return next((tensor for tensor in tensors if tensor.dim() == 2), tensors[0] if tensors else None)
    logits = getattr(out, "logits", None)
    return logits if isinstance(logits, Tensor) else None
