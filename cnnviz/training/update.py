"""One step of training: forward, backward, optimiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.optimise import hold
from cnnviz.training.recipe import Recipe


class Update:
    """A step as it is written.

    Args:
        recipe: Precision, label smoothing, weight of auxiliary losses.
        forward: A model in training mode, compiled or not.
        optimiser: Of the model's parameters.
    """

    def __init__(
        self,
        recipe: Recipe,
        forward: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self._recipe, self._forward, self._optimiser = recipe, forward, optimiser

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make the step; give its losses and what was answered before it."""
        logits, loss, extra = self.loss(images, labels)
        hold(self._optimiser, loss.detach())
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return torch.stack([loss.detach(), *extra]), logits.detach().argmax(1)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Main logits `(N, classes)`, the loss that is trained, and those of auxiliary classifiers alone.

        The latter are weighed into the former, and detached.
        """
        half = self._recipe.precision == "bf16"
        # A graph cannot use what autocast kept from outside of it, and nothing here is cast twice.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            out = self._forward(images)
        main, *extra = out if isinstance(out, tuple) else (out,)
        loss, alone = self._entropy(main, labels), [self._entropy(logits, labels) for logits in extra]
        for one in alone:
            loss = loss + self._recipe.aux_weight * one
        return main, loss, [one.detach() for one in alone]

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), labels, label_smoothing=self._recipe.label_smoothing)
