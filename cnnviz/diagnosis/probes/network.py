"""Probes of the network: loss at initialization, gradient flow, one batch overfitted, evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.dropout import _DropoutNd

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probes import Result, register
from cnnviz.diagnosis.probes.context import ProbeContext, finite_or_none, format_value, main_logits
from cnnviz.training import Recipe
from cnnviz.training.data import Labelled, derive_seed
from cnnviz.training.metrics import evaluate
from cnnviz.training.optimizer import build_optimizer
from cnnviz.training.trainer import seed_layers

# Loss at initialization.

INITIAL_LOSS_IMAGES = 256


def _describe_initial_loss(figures: Mapping[str, Any]) -> str:
    return (
        f"It is {format_value(figures['loss'])}; chance level is {figures['chance_loss']:.4g}, ln(classes)."
    )


@register(
    "initial-loss",
    title="Loss at initialization",
    summary="Before the first step nothing is known, so the loss should be near ln(classes).",
    describe=_describe_initial_loss,
)
def initial_loss(context: ProbeContext) -> Result:
    """Measure the loss at initialization, in training mode, and the distribution of the logits.

    Returns:
        `loss`; `chance_loss` = ln(classes); `logit_spread`, the logits' standard deviation over images, mean
        over classes; `logit_offset`, the standard deviation over classes of their means: the bias before an
        image is seen.
    """
    images, labels = context.some(context.data_module.train, context.affordable(most=INITIAL_LOSS_IMAGES))
    model = context.fresh().train()
    with torch.no_grad():
        logits = main_logits(model(context.transform.test(images))).float()
    return {
        "loss": finite_or_none(float(functional.cross_entropy(logits, labels))),
        "chance_loss": math.log(len(context.data_module.classes)),
        "logit_spread": finite_or_none(float(logits.std(0, correction=0).mean())),
        "logit_offset": finite_or_none(float(logits.mean(0).std(correction=0))),
        "images": len(labels),
    }


# Gradients of each layer, at initialization and at the checkpoint.

GRADIENT_IMAGES = 64


def _describe_gradients(figures: Mapping[str, Any]) -> str:
    layers = figures["layers"]
    if not layers:
        return "No layer has weights."
    ends = layers[0], layers[-1]
    fresh, now = (
        [format_value(end[when]["gradient"]) for end in ends if end[when] is not None]
        for when in ("fresh", "trained")
    )
    since = f"; now {' and '.join(now)}" if now else ""
    return (
        f"Before the first step the gradient is {fresh[0]} long at '{ends[0]['name']}' and {fresh[1]} at "
        f"'{ends[1]['name']}'{since}."
    )


@register(
    "gradient-flow",
    title="Gradients of each layer",
    summary="Every layer should get a gradient of about the same size for its weights.",
    describe=_describe_gradients,
)
def gradient_flow(context: ProbeContext) -> Result:
    """Measure the gradient of each layer with weights for one training batch.

    Returns:
        `layers`, in order: `name`, and statistics `fresh` and `trained`, which are the L2 norms of `weight`
        and `gradient`, and their `ratio`; `trained` is None without a checkpoint.
    """
    fresh = _figures(context, context.fresh())
    trained = _figures(context, context.copy()) if context.trained is not None else {}
    layers = [{"name": name, "fresh": values, "trained": trained.get(name)} for name, values in fresh.items()]
    return {"layers": layers, "images": _count(context)}


def _count(context: ProbeContext) -> int:
    return min(context.affordable(6, GRADIENT_IMAGES), len(context.data_module.train))


def _figures(context: ProbeContext, model: nn.Module) -> dict[str, dict[str, Any]]:
    images, labels = context.some(context.data_module.train, _count(context))
    model.train()
    loss = functional.cross_entropy(main_logits(model(context.transform.test(images))), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    figures = {}
    for name, part in model.named_modules():
        own = [p for p in part.parameters(recurse=False) if p.grad is not None and p.dim() > 1]
        if not own:
            continue
        with torch.no_grad():
            weight = float(torch.stack([p.norm() for p in own]).norm())
            gradient = float(torch.stack([p.grad.norm() for p in own if p.grad is not None]).norm())
        figures[name] = {
            "weight": finite_or_none(weight),
            "gradient": finite_or_none(gradient),
            "ratio": finite_or_none(gradient / max(weight, 1e-12)),
        }
    return figures


# Overfit one batch, and what prevents it.

OVERFIT_IMAGES, STEPS = 16, 60
"""Images and Adam steps: a batch that any useful network overfits in so many."""
FEW_IMAGES, FEW_STEPS = 4, 20
"""Least images and steps, however costly a step is."""
REFERENCE = {"optimiser": "adam", "lr": 1e-3, "momentum": 0.9, "weight_decay": 0, "label_smoothing": 0}
WEIGHTS = 6e8
"""Budget of weight updates per condition: Adam takes a second or two for so many."""
CALLED = {
    "own": "with this recipe",
    "no-decay": "without weight decay",
    "no-dropout": "without dropout",
    "reference": "with Adam at 0.001",
}
LEARNT = 1e-3
"""A loss that counts as zero."""
TOLD = 20
"""Most losses reported per condition, evenly over the steps."""


@dataclass(frozen=True)
class _Arm:
    recipe: Recipe
    drops: bool
    """Whether dropout is active."""


def _describe_overfit(figures: Mapping[str, Any]) -> str:
    ends = [f"{_learnt(condition)} {CALLED[name]}" for name, condition in figures["arms"].items()]
    return f"Of {figures['images']} images in {figures['steps']} steps, it learns {', '.join(ends)}."


def _learnt(condition: Mapping[str, Any]) -> str:
    if condition["accuracy"] is None:
        return "none, for its loss is no number any more,"
    loss = condition["loss"]
    loss_text = format_value(loss) if loss is None or loss > LEARNT else "near 0"
    return f"{percent(condition['accuracy'])} (loss {loss_text})"


@register(
    "overfit-batch",
    title="Overfit one batch",
    summary="A fresh network should learn a few images to a loss of nearly nothing.",
    describe=_describe_overfit,
)
def overfit_batch(context: ProbeContext) -> Result:
    """Train fresh networks on one batch under several conditions.

    `own` follows the recipe at its largest rate, without schedule and augmentation; `no-decay` and
    `no-dropout` lack these, where there are any; `reference` is Adam at 1e-3 without either.

    Returns:
        `arms` by name, each with `losses`, final `loss` and `accuracy` (None after NaN or Inf); `images`,
        `steps`.
    """
    # A forward and a backward pass are three times the multiply-adds; there are up to four conditions.
    count = int(WEIGHTS / sum(p.numel() for p in context.fresh().parameters()))
    count = min(STEPS, max(FEW_STEPS, count))
    images, labels = _batch(context, max(FEW_IMAGES, context.affordable(3 * 4 * count, OVERFIT_IMAGES)))
    x = context.transform.test(images)
    conditions = _arms(context).items()
    return {
        "arms": {name: _learn(context, condition, count, (x, labels)) for name, condition in conditions},
        "images": len(labels),
        "steps": count,
    }


def _arms(context: ProbeContext) -> dict[str, _Arm]:
    recipe = context.recipe
    drops = any(isinstance(part, _DropoutNd) and part.p > 0 for part in context.fresh().modules())
    conditions = {"own": _Arm(recipe, drops=True)}
    if recipe.weight_decay:
        conditions["no-decay"] = _Arm(recipe.changed({"weight_decay": 0.0}), drops=True)
    if drops:
        conditions["no-dropout"] = _Arm(recipe, drops=False)
    return conditions | {"reference": _Arm(recipe.changed(REFERENCE), drops=False)}


def _batch(context: ProbeContext, count: int) -> tuple[Tensor, Tensor]:
    """Sample images round-robin over the classes."""
    rows = context.rows(context.data_module.train, len(context.data_module.train))
    labels = context.data_module.train.labels[rows]
    rank = torch.zeros_like(labels)
    for label in torch.unique(labels):
        of_class = labels == label
        rank[of_class] = torch.arange(int(of_class.sum()), device=labels.device)
    chosen = rows[rank.argsort(stable=True)[:count]]
    return context.data_module.train.images[chosen], context.data_module.train.labels[chosen]


def _learn(
    context: ProbeContext, condition: _Arm, count: int, batch: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    model, losses, (x, labels) = context.fresh().train(), [], batch
    if not condition.drops:
        _stop_dropping(model)
    steps = build_optimizer(condition.recipe, model.parameters())
    for step in range(count):
        seed_layers(context.device, derive_seed(context.recipe.seed, step, 5))
        loss = functional.cross_entropy(
            main_logits(model(x)), labels, label_smoothing=condition.recipe.label_smoothing
        )
        losses.append(finite_or_none(float(loss.detach())))
        if losses[-1] is None:
            break
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    curve = losses[:: max(1, count // TOLD)]
    if losses[-1] is None:
        return {"losses": curve, "loss": None, "accuracy": None}
    # Batch normalization stays in training mode: running statistics are not settled after so few steps.
    _stop_dropping(model)
    with torch.no_grad():
        logits = main_logits(model(x))
    return {
        "losses": curve,
        "loss": finite_or_none(float(functional.cross_entropy(logits, labels))),
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
    }


def _stop_dropping(model: nn.Module) -> None:
    for part in model.modules():
        if isinstance(part, _DropoutNd):
            part.eval()


# Accuracy in training and evaluation mode, beside the recorded one.


def _describe_modes(figures: Mapping[str, Any]) -> str:
    recorded = "" if figures["recorded"] is None else f"; the run recorded {percent(figures['recorded'], 1)}"
    return (
        f"Test accuracy is {percent(figures['evaluation'], 1)} in evaluation mode and "
        f"{percent(figures['training'], 1)} in training mode{recorded}."
    )


@register(
    "evaluation-mode",
    title="Accuracy in both modes",
    summary="What was recorded should be the accuracy in evaluation mode, not in training mode.",
    trained=True,
    describe=_describe_modes,
)
def evaluation_mode(context: ProbeContext) -> Result:
    """Measure the checkpoint's test accuracy in evaluation mode and in training mode.

    In training mode batches have the recipe's size.

    Returns:
        `evaluation`, `training`, `recorded` (None where none is), `images`.
    """
    test = context.data_module.test
    sample = Labelled(*context.some(test, context.affordable(2)))
    in_evaluation = evaluate(context.copy(), sample, context.transform).accuracy
    seed_layers(context.device, derive_seed(context.recipe.seed, 0, 6))
    in_training = _in_training_mode(context, sample)
    return {
        "evaluation": in_evaluation,
        "training": in_training,
        "recorded": _recorded(context.evidence, context.step),
        "images": len(sample),
    }


def _in_training_mode(context: ProbeContext, images: Labelled) -> float:
    model, correct = context.copy().train(), 0
    with torch.no_grad():
        for start in range(0, len(images), context.recipe.batch_size):
            batch = slice(start, start + context.recipe.batch_size)
            logits = main_logits(model(context.transform.test(images.images[batch])))
            correct += int((logits.argmax(1) == images.labels[batch]).sum())
    return correct / len(images)


def _recorded(evidence: Evidence, step: int) -> float | None:
    """Return the test accuracy recorded at the checkpoint's step."""
    points = evidence.curve("test/accuracy")
    return dict(zip(points.steps, points.values, strict=True)).get(step)
