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

# Recipe to optimiser.


def optimiser(
    recipe: Recipe, parameters: Iterable[nn.Parameter], head: Collection[int] = ()
) -> torch.optim.Optimizer:
    """The recipe's optimiser, in its fused form: one kernel for all parameters where the device has it.

    On a GPU the learning rate is a tensor there, so that a recorded step reads the rate of the moment.
    `hold` can stop it. Where the recipe has another rate for the trunk, `head` are the parameters, by `id`,
    that learn at the full one.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    chosen = _chosen(recipe, trained, head)
    # What gradient scalers use: a fused step does nothing where this is 1.
    chosen.found_inf = torch.zeros((), device=trained[0].device)  # type: ignore[attr-defined]
    return chosen


def skip_after_nonfinite(chosen: torch.optim.Optimizer, loss: Tensor) -> None:
    """From the first loss that is not finite on, let weights stay as they are; nobody waits.

    So that, when the loss is read some steps later, the place where it broke can still be found.
    """
    held: Tensor = chosen.found_inf  # type: ignore[attr-defined]
    torch.maximum(held, (~loss.isfinite()).to(held.dtype), out=held)


def _groups(recipe: Recipe, trained: list[nn.Parameter], head: Collection[int]) -> Any:
    """The parameters, in one group or, with another rate for the trunk, in two; `scale` is a group's part."""
    trunk = [parameter for parameter in trained if id(parameter) not in head]
    if recipe.trunk_lr == 1 or not trunk:
        return trained
    rest = [parameter for parameter in trained if id(parameter) in head]
    parts = [(trunk, recipe.trunk_lr), *([(rest, 1.0)] if rest else [])]
    # A tensor that is the rate of one group must not be that of the other.
    rates = [
        torch.tensor(recipe.lr * s, device=p[0].device) if p[0].is_cuda else recipe.lr * s for p, s in parts
    ]
    return [{"params": p, "scale": s, "lr": lr} for (p, s), lr in zip(parts, rates, strict=True)]


def layer_rates(model: nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """List layers with weights: how many parameters they have, how many learn, and at which part of the rate.

    Returns:
        For each layer its `name`, `type`, `params`, `trainable` (parameters that an optimizer has and that
        ask for a gradient) and `rate`, the learning rate by the largest of all groups; None for a frozen one.
    """
    rates = {
        id(parameter): float(group["lr"])
        for one in optimizers
        for group in one.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    }
    largest = max(rates.values(), default=0.0)
    found = []
    for name, part in model.named_modules():
        own = list(part.parameters(recurse=False))
        if not own:
            continue
        learning = [parameter for parameter in own if id(parameter) in rates]
        fastest = max((rates[id(parameter)] for parameter in learning), default=0.0)
        found.append({
            "name": name, "type": type(part).__name__, "params": sum(p.numel() for p in own),
            "trainable": sum(p.numel() for p in learning),
            "rate": (fastest / largest if largest else 1.0) if learning else None,
        })  # fmt: skip
    return found


class RMSprop(torch.optim.RMSprop):
    """RMSprop (Tieleman and Hinton, 2012), which has no fused form: `found_inf` is heeded here instead.

    On a GPU without waiting: where it is 1 the step is made with gradients and a rate of 0, which leaves
    weights as they are to the bit.
    """

    found_inf: Tensor

    def step(self, closure: Any = None) -> Any:
        """Make a step, or none from the first loss on that was not finite."""
        if not self.found_inf.is_cuda:
            return None if bool(self.found_inf) else super().step(closure)
        held = self.found_inf.bool()
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = group["lr"] * ~held
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.masked_fill_(held, 0)
        result = super().step(closure)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        return result


def _chosen(recipe: Recipe, parameters: list[nn.Parameter], head: Collection[int]) -> torch.optim.Optimizer:
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


def set_lr(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Use a learning rate from the next step on."""
    for group in chosen.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * group.get("scale", 1.0))
        else:
            group["lr"] = rate * group.get("scale", 1.0)


def state_bytes(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> int:
    """Memory of what the optimiser keeps beside the weights, once it has made a step."""
    return state_tensors(recipe) * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)


# The learning rate as a function of the step, and the plateau, which has to look.

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


# The training loss: cross-entropy of labels or of mixed labels, weighted by class; and mixup.


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Weight each class by how rare it is: n / (k · n_c), scikit-learn's `class_weight="balanced"`.

    Args:
        labels: int64 `(N,)` of the training images.
        classes: How many classes the network has. One without an image takes no part in k, and weighs 1.

    Returns:
        float32 `(classes,)` on the labels' device.
    """
    counts = labels.bincount(minlength=classes).double()
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 1.0).float()


def class_weights(recipe: Recipe, labels: Tensor, classes: int) -> Tensor | None:
    """The weight of each class by the recipe; None where all count alike."""
    return balanced_weights(labels, classes) if recipe.class_weights == "balanced" else None


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float, weight: Tensor | None) -> Tensor:
    """Mean cross-entropy as `torch.nn.CrossEntropyLoss(weight, label_smoothing=…)` has it.

    Args:
        logits: float `(N, classes)`.
        target: Labels int64 `(N,)`, or how much of each image is of which class, float `(N, classes)`.
        smoothing: Part of the truth that is shared among all classes.
        weight: Of each class, float `(classes,)`. The sum is divided by the weights of what was to be said,
            also for mixed labels, where PyTorch divides by the number of images: the scale of the loss does
            then not depend on whether images are mixed.
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

    One λ ~ Beta(α, α) a batch, as in the authors' code, and the larger of λ and 1 − λ for the image itself,
    so that its own label stays the likeliest. Pairs (λ, order) and (1 − λ, the inverse order) are the same
    set of mixed images, so the distribution is theirs.

    Args:
        images: float `(N, C, H, W)` as the network reads them.
        labels: int64 `(N,)`.
        classes: How many there are.
        alpha: α above 0.
        seed: Of λ; the same seed, the same λ.
        generator: Of the order, on the images' device.

    Returns:
        Mixed images and float32 labels `(N, classes)`, each row of sum 1.
    """
    drawn = float(np.random.default_rng(seed).beta(alpha, alpha))
    part = max(drawn, 1 - drawn)
    order = torch.randperm(len(images), device=images.device, generator=generator)
    own = functional.one_hot(labels, classes).float()
    return torch.lerp(images[order], images, part), torch.lerp(own[order], own, part)


# Early stopping: end a run once the validation part has not been better for some epochs.


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
