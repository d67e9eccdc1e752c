"""Recipe to optimiser."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from cnnviz.training.recipe import Recipe


def optimiser(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser, in its fused form: one kernel for all parameters where the device has it.

    On a GPU the learning rate is a tensor there, so that a recorded step reads the rate of the moment.
    `hold` can stop it.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    chosen = _chosen(recipe, trained)
    # What gradient scalers use: a fused step does nothing where this is 1.
    chosen.found_inf = torch.zeros((), device=trained[0].device)  # type: ignore[attr-defined]
    return chosen


def hold(chosen: torch.optim.Optimizer, loss: Tensor) -> None:
    """From the first loss that is not finite on, let weights stay as they are; nobody waits.

    So that, when the loss is read some steps later, the place where it broke can still be found.
    """
    held: Tensor = chosen.found_inf  # type: ignore[attr-defined]
    torch.maximum(held, (~loss.isfinite()).to(held.dtype), out=held)


def _chosen(recipe: Recipe, trained: list[nn.Parameter]) -> torch.optim.Optimizer:
    decay, on_gpu = recipe.weight_decay, bool(trained) and trained[0].is_cuda
    lr: float | Tensor = torch.tensor(recipe.lr, device=trained[0].device) if on_gpu else recipe.lr
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        betas = (recipe.momentum, recipe.beta2)
        return kind(trained, lr, betas, weight_decay=decay, fused=True, capturable=on_gpu)
    nesterov = recipe.optimiser == "nesterov" and recipe.momentum > 0
    return torch.optim.SGD(trained, lr, recipe.momentum, weight_decay=decay, nesterov=nesterov, fused=True)


def set_rate(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Use a learning rate from the next step on."""
    for group in chosen.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def state_bytes(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> int:
    """Memory of what the optimiser keeps beside the weights, once it has made a step."""
    kept = 2 if recipe.optimiser in ("adam", "adamw") else int(recipe.momentum > 0)
    return kept * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
