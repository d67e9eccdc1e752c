"""The learning rate as a function of the step, and the plateau, which has to look."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.training.recipe import Recipe

_ONE_CYCLE_UP = 0.25
_ONE_CYCLE_START = 0.04


@dataclass
class Plateau:
    """Lowers the rate when the validation loss has not fallen for `patience` epochs."""

    patience: int
    factor: float
    best: float = math.inf
    waited: int = 0
    drops: int = 0

    def see(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.drops, self.waited = self.drops + 1, 0

    @property
    def scale(self) -> float:
        """What it multiplies the rate by now."""
        return float(self.factor**self.drops)


def rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step counted from 0, a plateau's drops left out.

    `cosine` falls to 0 along half a cosine (Loshchilov and Hutter, 2017, without restarts); `one-cycle`
    rises from 4 % to the top over the first quarter and falls linearly to 0 (after Smith, 2018).
    """
    warm = recipe.warmup_epochs * steps_per_epoch
    if step < warm:
        return recipe.lr * min(1.0, (step + 1) / warm)
    return recipe.lr * _factor(recipe, step - warm, recipe.epochs * steps_per_epoch - warm, steps_per_epoch)


def _factor(recipe: Recipe, step: float, total: float, steps_per_epoch: int) -> float:
    if recipe.schedule == "step":
        return float(recipe.step_factor ** (step // (recipe.step_epochs * steps_per_epoch)))
    done = step / max(total, 1)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if recipe.schedule == "one-cycle":
        if done < _ONE_CYCLE_UP:
            return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * done / _ONE_CYCLE_UP
        return (1 - done) / (1 - _ONE_CYCLE_UP)
    return 1.0
