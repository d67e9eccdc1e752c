"""Whether a fresh network can learn one small batch by heart, and what hinders it if not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.dropout import _DropoutNd

from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject, finite, main_logits, written
from cnnviz.training import Recipe
from cnnviz.training.engine import seed_layers
from cnnviz.training.material import mixed
from cnnviz.training.optimise import optimiser

IMAGES, STEPS = 16, 60
"""A batch that a network of any use learns by heart in so many steps of Adam."""
FEW_IMAGES, FEW_STEPS = 4, 20
"""However costly a step is."""
REFERENCE = {"optimiser": "adam", "lr": 1e-3, "momentum": 0.9, "weight_decay": 0, "label_smoothing": 0}
WEIGHTS = 6e8
"""Moved in all steps of an arm: Adam takes a second or two for so many, however few images there are."""
CALLED = {
    "own": "with this recipe",
    "no-decay": "without weight decay",
    "no-dropout": "without dropout",
    "reference": "with Adam at 0.001",
}
LEARNT = 1e-3
"""A loss of which nothing is left to learn."""
TOLD = 20
"""Losses of each arm, evenly over the steps."""


@dataclass(frozen=True)
class _Arm:
    recipe: Recipe
    drops: bool
    """Whether dropout layers drop."""


def _told(found: Mapping[str, Any]) -> str:
    ends = [f"{_learnt(arm)} {CALLED[name]}" for name, arm in found["arms"].items()]
    return f"Of {found['images']} images in {found['steps']} steps, it learns {', '.join(ends)}."


def _learnt(arm: Mapping[str, Any]) -> str:
    if arm["accuracy"] is None:
        return "none, for its loss is no number any more,"
    loss = arm["loss"]
    return f"{percent(arm['accuracy'])} (loss {written(loss) if loss is None or loss > LEARNT else 'near 0'})"


@register(
    "overfit-batch",
    title="One batch by heart",
    summary="A fresh network should learn a few images to a loss of nearly nothing.",
    told=_told,
)
def overfit_batch(subject: Subject) -> Found:
    """`arms` by name, each with `losses`, and `loss` and `accuracy` at last; `images`, `steps`.

    `own` follows the recipe at its largest rate, without schedule and augmentation; `no-decay` and
    `no-dropout` lack these, where there are any; `reference` is Adam at 1e-3 without either. An arm whose
    loss stops being finite ends with None.
    """
    # A forward and a backward pass are three times the multiply-adds; there are up to four arms.
    count = int(WEIGHTS / sum(p.numel() for p in subject.fresh().parameters()))
    count = min(STEPS, max(FEW_STEPS, count))
    images, labels = _batch(subject, max(FEW_IMAGES, subject.affordable(3 * 4 * count, IMAGES)))
    x = subject.preparation.test(images)
    arms = _arms(subject).items()
    return {
        "arms": {name: _learn(subject, arm, count, (x, labels)) for name, arm in arms},
        "images": len(labels),
        "steps": count,
    }


def _arms(subject: Subject) -> dict[str, _Arm]:
    recipe = subject.recipe
    drops = any(isinstance(part, _DropoutNd) and part.p > 0 for part in subject.fresh().modules())
    arms = {"own": _Arm(recipe, drops=True)}
    if recipe.weight_decay:
        arms["no-decay"] = _Arm(recipe.changed({"weight_decay": 0.0}), drops=True)
    if drops:
        arms["no-dropout"] = _Arm(recipe, drops=False)
    return arms | {"reference": _Arm(recipe.changed(REFERENCE), drops=False)}


def _batch(subject: Subject, count: int) -> tuple[Tensor, Tensor]:
    """Images of as many classes as there are, one of each in turn."""
    rows = subject.rows(subject.material.train, len(subject.material.train))
    labels = subject.material.train.labels[rows]
    turn = torch.zeros_like(labels)
    for label in torch.unique(labels):
        mine = labels == label
        turn[mine] = torch.arange(int(mine.sum()), device=labels.device)
    chosen = rows[turn.argsort(stable=True)[:count]]
    return subject.material.train.images[chosen], subject.material.train.labels[chosen]


def _learn(subject: Subject, arm: _Arm, count: int, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    model, losses, (x, labels) = subject.fresh().train(), [], batch
    if not arm.drops:
        _stop_dropping(model)
    steps = optimiser(arm.recipe, model.parameters())
    for step in range(count):
        seed_layers(subject.device, mixed(subject.recipe.seed, step, 5))
        loss = functional.cross_entropy(
            main_logits(model(x)), labels, label_smoothing=arm.recipe.label_smoothing
        )
        losses.append(finite(float(loss.detach())))
        if losses[-1] is None:
            break
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    told = losses[:: max(1, count // TOLD)]
    if losses[-1] is None:
        return {"losses": told, "loss": None, "accuracy": None}
    # Batch normalisation goes on looking at the batch: what it has collected in so few steps is not it.
    _stop_dropping(model)
    with torch.no_grad():
        logits = main_logits(model(x))
    return {
        "losses": told,
        "loss": finite(float(functional.cross_entropy(logits, labels))),
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
    }


def _stop_dropping(model: nn.Module) -> None:
    for part in model.modules():
        if isinstance(part, _DropoutNd):
            part.eval()
