"""Losses and predicted classes, summed by epoch and by report, without waiting for the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cnnviz.training.ranks import SINGLE, Ranks


class NonFiniteLossError(ArithmeticError):
    """The loss (or a weight) became infinite or not a number; `step` says when (counted from 1).

    `where` is a sentence that follows, with the layer in which it began.
    """

    def __init__(self, step: int, what: str = "The loss was", where: str = "") -> None:
        super().__init__(f"{what} no longer a finite number at step {step:,}.{where}")
        self.step, self.what = step, what


@dataclass
class RunningSum:
    """Over some images: the sum of their losses, how many were answered rightly, how many there were.

    Losses are added one step after another, so that a resumed run rounds as one that was not.
    """

    loss: float = 0.0
    right: float = 0.0
    images: float = 0.0

    @property
    def values(self) -> tuple[float, float, float]:
        """As a checkpoint keeps them."""
        return self.loss, self.right, self.images


class EpochMetrics:
    """What the steps of an epoch came to.

    `add` keeps a step's tensors where they are; `drain` fetches all of them at once. Between the two the
    host never waits for a device.
    """

    def __init__(self, classes: int, ranks: Ranks = SINGLE) -> None:
        self._ranks = ranks
        self.epoch, self.recent = RunningSum(), RunningSum()
        self.predicted = [0] * classes
        """How many training images were given each class in this epoch."""
        self.auxiliary: list[float] = []
        """Of each auxiliary classifier the sum of its losses since the last report.

        Empty where there is none, and until the next report where a checkpoint did not keep them.
        """
        self._waiting: list[tuple[int, Tensor, Tensor, Tensor, float]] = []

    def add(self, step: int, losses: Tensor, predicted: Tensor, labels: Tensor, part: float = 1.0) -> None:
        """Note step `step` (from 1): mean losses of `update.Step`, predicted classes and labels `(N,)`.

        Where several ranks train these are this rank's, and `part` is what its losses count in the mean over
        the whole batch; with 0 its row is another one's.
        """
        count = len(labels) if part else 0
        self._waiting.append((step, losses, predicted[:count], labels[:count], part))

    @property
    def waiting_labels(self) -> list[Tensor]:
        """The labels `(N,)` of every batch that `drain` has not fetched yet."""
        return [labels for _, _, _, labels, _ in self._waiting]

    def drain(self) -> None:
        """Fetch what waits; raises `NonFiniteLossError` for the first step whose loss was not finite."""
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
            self.auxiliary = [old + one * size for old, one in zip(self.auxiliary, extra, strict=False)]
        for sums in (self.epoch, self.recent):
            sums.right += right
        self.predicted = [old + new for old, new in zip(self.predicted, counts, strict=True)]

    def _over_ranks(
        self, losses: Tensor, parts: Tensor, sizes: list[int], right: int, counts: list[int]
    ) -> tuple[Tensor, list[int], int, list[int]]:
        """The same figures of the whole batches: one exchange for all steps that wait."""
        weighted = losses.detach().cpu().double() * parts[:, None]
        counted = torch.tensor([right, *sizes, *counts], dtype=torch.float64)
        flat = self._ranks.sum(torch.cat([weighted.flatten(), counted]))
        means = flat[: weighted.numel()].view_as(weighted)
        right, *rest = (int(value) for value in flat[weighted.numel() :].tolist())
        return means, rest[: len(sizes)], right, rest[len(sizes) :]

    def begin_epoch(self) -> None:
        """Forget the epoch."""
        self.epoch, self.predicted = RunningSum(), [0] * len(self.predicted)

    def begin_report(self) -> None:
        """Forget what was reported."""
        self.recent, self.auxiliary = RunningSum(), []

    def restore(
        self, sums: tuple[float, ...], predicted: tuple[int, ...], auxiliary: tuple[float, ...]
    ) -> None:
        """Go on from what a checkpoint kept: the epoch's three sums, the report's, and the rest."""
        self.epoch, self.recent = RunningSum(*sums[:3]), RunningSum(*sums[3:])
        self.predicted = list(predicted) or [0] * len(self.predicted)
        self.auxiliary = list(auxiliary)
