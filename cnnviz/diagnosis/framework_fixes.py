"""Fixes for loops that a framework runs, in its own settings: the user has no loop to write code into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnviz.diagnosis.finding import Change, CodeFix, Finding

Setting = Callable[[Any], tuple[str, str]]
"""Words for a recipe field's value, and the framework's argument; empty where it has none."""

_SCHEDULERS = {
    "cosine": "cosine",
    "constant": "constant",
    "plateau": "reduce_lr_on_plateau",
}


def _argument(name: str) -> Setting:
    """Return a setting that has the same value as the recipe's field."""

    def text(value: Any) -> tuple[str, str]:
        setting = f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value!r}"
        return setting, setting

    return text


def _scheduler(value: Any) -> tuple[str, str]:
    known = _SCHEDULERS.get(value)
    return (
        (f"a learning-rate schedule ({value})", "")
        if known is None
        else _argument("lr_scheduler_type")(known)
    )


SETTINGS: Mapping[str, tuple[str, Mapping[str, Setting]]] = {
    "transformers": (
        "TrainingArguments",
        {
            "lr": _argument("learning_rate"),
            "batch_size": _argument("per_device_train_batch_size"),
            "epochs": _argument("num_train_epochs"),
            "weight_decay": _argument("weight_decay"),
            "beta2": _argument("adam_beta2"),
            "clip_norm": _argument("max_grad_norm"),
            "label_smoothing": _argument("label_smoothing_factor"),
            "schedule": _scheduler,
        },
    ),
    "lightning": (
        "Trainer",
        {
            "lr": lambda v: (f"lr={v:.3g} in the optimizer of configure_optimizers", ""),
            "epochs": _argument("max_epochs"),
            "clip_norm": _argument("gradient_clip_val"),
        },
    ),
}
"""Name of the framework's settings object, and what of a recipe it holds."""

_BY_CAUSE: Mapping[str, Mapping[str, CodeFix]] = {
    "transformers": {
        "exploding-gradients": CodeFix(
            "Clip the gradient, and lower the learning rate.", "TrainingArguments(…, max_grad_norm=1.0)"
        ),
        "weight-decay": CodeFix("Less weight decay.", "TrainingArguments(…, weight_decay=1e-4)"),
        "batch-too-large": CodeFix(
            "Use smaller batches.", "TrainingArguments(…, per_device_train_batch_size=64)"
        ),
        "too-few-steps": CodeFix(
            "Train for more steps: more epochs (num_train_epochs), or smaller batches "
            "(per_device_train_batch_size, gradient_accumulation_steps) in TrainingArguments."
        ),
        "unstable-training": CodeFix(
            "Lower learning_rate in TrainingArguments to a third, or let it fall: lr_scheduler_type='cosine'."
        ),
    },
    "lightning": {
        "exploding-gradients": CodeFix(
            "Clip the gradient, and lower the learning rate.", "Trainer(…, gradient_clip_val=1.0)"
        ),
    },
}


def framework_fix(finding: Finding, framework: str) -> CodeFix | None:
    """Return the finding's fix in a framework's settings; None where a fix of PyTorch's words fits it too."""
    if framework == "transformers" and finding.cause == "gradient-accumulation-scale":
        return _accumulation(finding)
    if finding.fix is None and finding.changes:
        return _of_change(finding.changes[0], framework)
    return _BY_CAUSE.get(framework, {}).get(finding.cause)


def _of_change(change: Change, framework: str) -> CodeFix | None:
    """Return a fix that sets the changed fields; None if the framework has a setting for none of them."""
    holder, known = SETTINGS.get(framework, ("", {}))
    if not change.values or not all(field in known for field in change.values):
        return None
    words, arguments = zip(*(known[field](value) for field, value in change.values.items()), strict=True)
    given = [argument for argument in arguments if argument]
    where = f" in {holder}" if given else ""
    code = f"{holder}(…, {', '.join(given)})" if given else ""
    return CodeFix(f"Use {' and '.join(words)}{where}. {change.why}", code)


def _accumulation(finding: Finding) -> CodeFix:
    """Return the fix for `Trainer`, which divides only the losses of networks that do not do it themselves.

    A network whose `forward` takes `**kwargs`, or a `compute_loss_func`, is given `num_items_in_batch` and
    is expected to divide by it.
    """
    passes = next((round(fact.value) for fact in finding.facts if fact.label == "batches a step"), 0)
    steps = f"gradient_accumulation_steps={passes}" if passes else "gradient_accumulation_steps"
    return CodeFix(
        f"With {steps} in TrainingArguments, Trainer leaves dividing to a loss that can take "
        "num_items_in_batch (a forward with **kwargs, or compute_loss_func): divide by it there, or take "
        "**kwargs out of forward, and Trainer divides. Or divide learning_rate in TrainingArguments by "
        f"{passes or 'the number of batches'}.",
        "loss = functional.cross_entropy(logits, labels, reduction='sum') / num_items_in_batch",
    )
