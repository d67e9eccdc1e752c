"""Recipe to optimiser."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from cnnviz.training.recipe import Recipe


def optimiser(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser, in its fused form: one kernel for all parameters where the device has it."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decay = recipe.weight_decay
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        return kind(trained, recipe.lr, betas=(recipe.momentum, recipe.beta2), weight_decay=decay, fused=True)
    nesterov = recipe.optimiser == "nesterov" and recipe.momentum > 0
    return torch.optim.SGD(
        trained, recipe.lr, recipe.momentum, weight_decay=decay, nesterov=nesterov, fused=True
    )


def set_rate(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Use a learning rate from the next step on."""
    for group in chosen.param_groups:
        group["lr"] = rate
