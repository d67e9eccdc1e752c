"""One step of training: forward, backward, optimiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training.recipe import Recipe

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Images `(N, C, H, W)` and labels `(N,)` to the mean loss and the answers `(N,)`, nobody waiting."""


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
        """Make the step; give its loss and what was answered before it."""
        logits, loss = self.loss(images, labels)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return loss.detach(), logits.detach().argmax(1)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Main logits `(N, classes)`, and the loss that is trained, auxiliary classifiers weighed in."""
        half = self._recipe.precision == "bf16"
        # A graph cannot use what autocast kept from outside of it, and nothing here is cast twice.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            out = self._forward(images)
        main, *extra = out if isinstance(out, tuple) else (out,)
        loss = self._entropy(main, labels)
        for logits in extra:
            loss = loss + self._recipe.aux_weight * self._entropy(logits, labels)
        return main, loss

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), labels, label_smoothing=self._recipe.label_smoothing)
