"""Optimizer, learning-rate schedule, training loss (cross-entropy, mixup) and early stopping."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.training.metrics import Score
from cnnviz.training.recipe import Recipe, state_tensors

# Optimizer.


def build_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], head: Collection[int] = ()
) -> torch.optim.Optimizer:
    """Create the recipe's optimizer in its fused form (one kernel for all parameters) where available.

    On a GPU the learning rate is a tensor, so that a captured step reads its current value.
    `skip_after_nonfinite` can make steps no-ops.

    Args:
        recipe: The recipe.
        parameters: The model's parameters; those without `requires_grad` are left out.
        head: `id`s of the parameters with the full learning rate, if the recipe has another one for the
            trunk.

    Raises:
        ValueError: A trained parameter is complex.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if any(parameter.is_complex() for parameter in trained):
        raise ValueError(
            "The network has complex weights, which no optimizer here takes; keep real and imaginary parts "
            "as two parameters, and join them by torch.complex in forward."
        )
    result = _create(recipe, trained, head)
    # As for gradient scalers: a fused step is a no-op if this is 1.
    result.found_inf = torch.zeros((), device=trained[0].device)  # type: ignore[attr-defined]
    return result


def head_parameters(model: nn.Module) -> set[int]:
    """Return the `id`s of the parameters of the last layer that has any: the head."""
    layers = [list(part.parameters(recurse=False)) for part in model.modules()]
    return {id(parameter) for parameter in next((own for own in reversed(layers) if own), [])}


def skip_after_nonfinite(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make all optimizer steps no-ops from the first non-finite loss on, without synchronizing.

    The loss is read some steps later; the unchanged weights then still allow its origin to be located.
    """
    found_inf: Tensor = optimizer.found_inf  # type: ignore[attr-defined]
    torch.maximum(found_inf, (~loss.isfinite()).to(found_inf.dtype), out=found_inf)


def _groups(recipe: Recipe, trained: list[nn.Parameter], head: Collection[int]) -> Any:
    """Return the parameters in one group, or in two if the trunk has another rate (`scale` multiplies it)."""
    trunk = [parameter for parameter in trained if id(parameter) not in head]
    if recipe.trunk_lr == 1 or not trunk:
        return trained
    of_head = [parameter for parameter in trained if id(parameter) in head]
    parts = [(trunk, recipe.trunk_lr), *([(of_head, 1.0)] if of_head else [])]
    # One tensor per group: each is filled in place with the group's own rate.
    rates = [
        torch.tensor(recipe.lr * s, device=p[0].device) if p[0].is_cuda else recipe.lr * s for p, s in parts
    ]
    return [{"params": p, "scale": s, "lr": lr} for (p, s), lr in zip(parts, rates, strict=True)]


def layer_rates(model: nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """List the layers with weights: number of parameters, trainable ones, and relative learning rate.

    Returns:
        For each layer its `name`, `type`, `params`, `trainable` (parameters in an optimizer that require a
        gradient) and `rate`, the learning rate relative to the largest finite one of all groups; None for a
        frozen layer, 1 where the layer's is not finite.
    """
    rates = {
        id(parameter): float(group["lr"])
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    }
    largest = max(filter(math.isfinite, rates.values()), default=0.0)
    layers = []
    for name, module in model.named_modules():
        parameters = list(module.parameters(recurse=False))
        if not parameters:
            continue
        learning = [parameter for parameter in parameters if id(parameter) in rates]
        fastest = max((rates[id(parameter)] for parameter in learning), default=0.0)
        layers.append({
            "name": name, "type": type(module).__name__, "params": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in learning),
            "rate": (fastest / largest if largest and math.isfinite(fastest) else 1.0) if learning else None,
        })  # fmt: skip
    return layers


class RMSprop(torch.optim.RMSprop):
    """RMSprop (Tieleman and Hinton, 2012), which has no fused form: `found_inf` is evaluated here instead.

    On a GPU without synchronization: if it is 1 the step uses zero gradients and a rate of 0, which leaves
    the weights bit-identical.
    """

    found_inf: Tensor

    def step(self, closure: Any = None) -> Any:
        """Perform a step, or none after the first non-finite loss."""
        if not self.found_inf.is_cuda:
            return None if bool(self.found_inf) else super().step(closure)
        skip = self.found_inf.bool()
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = group["lr"] * ~skip
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.masked_fill_(skip, 0)
        result = super().step(closure)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        return result


def _create(recipe: Recipe, parameters: list[nn.Parameter], head: Collection[int]) -> torch.optim.Optimizer:
    trained, first = _groups(recipe, parameters, head), parameters[0]
    decay, on_gpu = recipe.weight_decay, first.is_cuda
    lr: float | Tensor = torch.tensor(recipe.lr, device=first.device) if on_gpu else recipe.lr
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        betas = (recipe.momentum, recipe.beta2)
        return kind(trained, lr, betas, weight_decay=decay, fused=True, capturable=on_gpu)
    if recipe.optimiser == "rmsprop":
        return RMSprop(
            trained, lr, recipe.alpha, weight_decay=decay, momentum=recipe.momentum, capturable=on_gpu
        )
    nesterov = recipe.optimiser == "nesterov" and recipe.momentum > 0
    return torch.optim.SGD(trained, lr, recipe.momentum, weight_decay=decay, nesterov=nesterov, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the following steps."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * group.get("scale", 1.0))
        else:
            group["lr"] = rate * group.get("scale", 1.0)


def state_bytes(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> int:
    """Return the size of the optimizer's state in bytes, once it has made a step."""
    return state_tensors(recipe) * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)


# Learning-rate schedules.

_ONE_CYCLE_UP = 0.25
_ONE_CYCLE_START = 0.04


@dataclass
class Plateau:
    """Schedule that lowers the rate after `patience` epochs without a lower validation loss."""

    patience: int
    factor: float
    best: float = math.inf
    waited: int = 0
    drops: int = 0

    def update(self, loss: float) -> None:
        """Update with an epoch's validation loss."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.drops, self.waited = self.drops + 1, 0

    @property
    def scale(self) -> float:
        """Factor of the learning rate now."""
        return float(self.factor**self.drops)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step (from 0), without the drops of a plateau.

    `cosine` decays to 0 along half a cosine (Loshchilov and Hutter, 2017, without restarts); `one-cycle`
    rises from 4 % of the peak over the first quarter and decays linearly to 0 (after Smith, 2018).
    """
    warm = recipe.warmup_epochs * steps_per_epoch
    if step < warm:
        return recipe.lr * min(1.0, (step + 1) / warm)
    return recipe.lr * _factor(recipe, step - warm, recipe.epochs * steps_per_epoch - warm, steps_per_epoch)


def _factor(recipe: Recipe, step: float, total: float, steps_per_epoch: int) -> float:
    if recipe.schedule == "step":
        return float(recipe.step_factor ** (step // (recipe.step_epochs * steps_per_epoch)))
    progress = step / max(total, 1)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if recipe.schedule == "one-cycle":
        if progress < _ONE_CYCLE_UP:
            return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * progress / _ONE_CYCLE_UP
        return (1 - progress) / (1 - _ONE_CYCLE_UP)
    return 1.0


# Training loss: cross-entropy of hard or mixed labels with class weights; and mixup.


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Compute class weights n / (k · n_c), as scikit-learn's `class_weight="balanced"`.

    Args:
        labels: int64 `(N,)` of the training images.
        classes: Number of outputs of the network. A class without images does not count in k, and has weight
            1.

    Returns:
        float32 `(classes,)` on the labels' device.
    """
    counts = labels.bincount(minlength=classes).double()
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 1.0).float()


def class_weights(recipe: Recipe, labels: Tensor, classes: int) -> Tensor | None:
    """Return the recipe's class weights; None for equal weights."""
    return balanced_weights(labels, classes) if recipe.class_weights == "balanced" else None


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float, weight: Tensor | None) -> Tensor:
    """Compute mean cross-entropy as `torch.nn.CrossEntropyLoss(weight, label_smoothing=…)`.

    Args:
        logits: float `(N, classes)`.
        target: Labels int64 `(N,)`, or class probabilities of mixed labels, float `(N, classes)`.
        smoothing: Label smoothing.
        weight: Class weights, float `(classes,)`. The sum is divided by the weights of the targets, also for
            mixed labels, where PyTorch divides by the number of images: so the scale of the loss does not
            depend on mixup.
    """
    if target.dim() == 1:
        return functional.cross_entropy(logits, target, weight, label_smoothing=smoothing)
    if weight is None:
        return functional.cross_entropy(logits, target, label_smoothing=smoothing)
    total = functional.cross_entropy(logits, target, weight, reduction="sum", label_smoothing=smoothing)
    return total / (target @ weight).sum()


def mixup(
    images: Tensor, labels: Tensor, classes: int, alpha: float, seed: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image and its label with another of the batch (Zhang et al., "mixup", ICLR 2018).

    One λ ~ Beta(α, α) per batch, as in the authors' code. The image itself gets the larger of λ and 1 − λ, so
    its own label stays the most probable. The pairs (λ, permutation) and (1 − λ, inverse permutation) give
    the same set of mixed images, so the distribution is unchanged.

    Args:
        images: float `(N, C, H, W)`, preprocessed.
        labels: int64 `(N,)`.
        classes: Number of classes.
        alpha: α > 0.
        seed: Seed of λ.
        generator: Generator of the permutation, on the images' device.

    Returns:
        Mixed images, and float32 labels `(N, classes)` whose rows sum to 1.
    """
    sampled = float(np.random.default_rng(seed).beta(alpha, alpha))
    weight = max(sampled, 1 - sampled)
    order = torch.randperm(len(images), device=images.device, generator=generator)
    one_hot = functional.one_hot(labels, classes).float()
    return torch.lerp(images[order], images, weight), torch.lerp(one_hot[order], one_hot, weight)


# Early stopping.


@dataclass
class EarlyStopping:
    """Early stopping after epochs without a better validation loss or accuracy (Prechelt, 1998).

    Args:
        patience: Epochs without a better result after which the run ends; 0: never.
        metric: `loss` (smaller is better) or `accuracy`, on validation images.
        best: The best result so far; None before the first.
        best_epoch: Its epoch, from 1.
        waited: Number of epochs since then.
    """

    patience: int
    metric: str = "loss"
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    @classmethod
    def of(cls, recipe: Recipe) -> EarlyStopping:
        """Create it from a recipe."""
        return cls(recipe.early_stopping, recipe.stop_metric)

    def update(self, epoch: int, score: Score) -> bool:
        """Update with the validation score of an epoch (from 1); return whether it is the best so far."""
        value = score.loss if self.metric == "loss" else score.accuracy
        better = self.best is None or (value < self.best if self.metric == "loss" else value > self.best)
        if better:
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1
        return better

    @property
    def stopped(self) -> bool:
        """Return whether training should end."""
        return 0 < self.patience <= self.waited

    def record(self, epoch: int, *, restored: bool) -> dict[str, Any]:
        """Return the record `early_stopping` of the run's end, with a message on epoch and reason."""
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
        reason = (
            f"Early stopping ended the run after epoch {epoch}: for {self.waited} "
            f"epoch{'s' if self.waited != 1 else ''} the validation {self.metric} was not {sense} than the "
            f"{best} of epoch {self.best_epoch}."
            if self.stopped
            else f"The best validation {self.metric}, {best}, was that of epoch {self.best_epoch}."
        )
        return reason + (
            f" The weights of epoch {self.best_epoch} were restored, and the last test figures are theirs."
            if restored
            else ""
        )
