"""Early stopping: end a run once the validation part has not been better for some epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnnviz.training.evaluate import Score
from cnnviz.training.recipe import Recipe


@dataclass
class EarlyStopping:
    """Count epochs without a better validation loss or accuracy (Prechelt, 1998).

    Args:
        patience: Epochs without a better result after which the run ends; 0: never.
        metric: `loss` (smaller is better) or `accuracy`, of the validation part.
        best: The best result so far; None before the first.
        best_epoch: The epoch that had it, from 1.
        waited: Epochs since then.
    """

    patience: int
    metric: str = "loss"
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    @classmethod
    def of(cls, recipe: Recipe) -> EarlyStopping:
        """As the recipe asks for it."""
        return cls(recipe.early_stopping, recipe.stop_metric)

    def see(self, epoch: int, score: Score) -> bool:
        """Note the validation score of epoch `epoch` (from 1); returns whether it is the best so far."""
        value = score.loss if self.metric == "loss" else score.accuracy
        better = self.best is None or (value < self.best if self.metric == "loss" else value > self.best)
        if better:
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1
        return better

    @property
    def stopped(self) -> bool:
        """Whether the run is over."""
        return 0 < self.patience <= self.waited

    def record(self, epoch: int, *, restored: bool) -> dict[str, Any]:
        """What is recorded of it at the run's end, with the sentence that says at which epoch and why."""
        return {
            "epoch": epoch,
            "stopped": self.stopped,
            "metric": self.metric,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "patience": self.patience,
            "restored": restored,
            "note": self._note(epoch, restored=restored),
        }

    def _note(self, epoch: int, *, restored: bool) -> str:
        best = "none" if self.best is None else f"{self.best:.4g}"
        sense = "lower" if self.metric == "loss" else "higher"
        why = (
            f"Early stopping ended the run after epoch {epoch}: for {self.waited} "
            f"epoch{'s' if self.waited != 1 else ''} the validation {self.metric} was not {sense} than the "
            f"{best} of epoch {self.best_epoch}."
            if self.stopped
            else f"The best validation {self.metric}, {best}, was that of epoch {self.best_epoch}."
        )
        return why + (
            f" The weights of epoch {self.best_epoch} were restored, and the last test figures are theirs."
            if restored
            else ""
        )
