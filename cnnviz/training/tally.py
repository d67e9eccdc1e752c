"""Loss and answers, summed over an epoch and since the last report, without waiting for the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


class NonFiniteLossError(ArithmeticError):
    """The loss (or a weight) became infinite or not a number; `step` says when (counted from 1)."""

    def __init__(self, step: int, what: str = "The loss was") -> None:
        super().__init__(f"{what} no longer a finite number at step {step:,}.")
        self.step = step


@dataclass
class Sums:
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


class Tally:
    """What the steps of an epoch came to.

    `add` keeps a step's tensors where they are; `drain` fetches all of them at once. Between the two the
    host never waits for a device.
    """

    def __init__(self, classes: int) -> None:
        self.epoch, self.recent = Sums(), Sums()
        self.predicted = [0] * classes
        """How many training images were given each class in this epoch."""
        self._waiting: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def add(self, step: int, loss: Tensor, answers: Tensor, labels: Tensor) -> None:
        """Note step `step` (from 1): the mean loss, and answers and labels `(N,)`."""
        self._waiting.append((step, loss, answers, labels))

    def drain(self) -> None:
        """Fetch what waits; raises `NonFiniteLossError` for the first step whose loss was not finite."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        losses = torch.stack([loss for _, loss, _, _ in waiting]).tolist()
        answers = torch.cat([answers for _, _, answers, _ in waiting])
        right = int((answers == torch.cat([labels for _, _, _, labels in waiting])).sum())
        counts = answers.bincount(minlength=len(self.predicted)).tolist()
        for (step, _, _, labels), loss in zip(waiting, losses, strict=True):
            if not math.isfinite(loss):
                raise NonFiniteLossError(step)
            for sums in (self.epoch, self.recent):
                sums.loss += loss * len(labels)
                sums.images += len(labels)
        for sums in (self.epoch, self.recent):
            sums.right += right
        self.predicted = [old + new for old, new in zip(self.predicted, counts, strict=True)]

    def begin_epoch(self) -> None:
        """Forget the epoch."""
        self.epoch, self.predicted = Sums(), [0] * len(self.predicted)

    def begin_report(self) -> None:
        """Forget what was reported."""
        self.recent = Sums()

    def restore(self, sums: tuple[float, ...], predicted: tuple[int, ...]) -> None:
        """Go on from what a checkpoint kept: the epoch's three sums, the report's, and the answers."""
        self.epoch, self.recent = Sums(*sums[:3]), Sums(*sums[3:])
        self.predicted = list(predicted) or [0] * len(self.predicted)
