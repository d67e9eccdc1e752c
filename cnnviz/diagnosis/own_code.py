"""Fixes for a user's own loop, in code or in a framework's settings; and what is not known of such a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change, CodeFix, Finding

_OPTIMIZERS = {
    "sgd": "torch.optim.SGD",
    "nesterov": "torch.optim.SGD(…, nesterov=True)",
    "adam": "torch.optim.Adam",
    "adamw": "torch.optim.AdamW",
    "rmsprop": "torch.optim.RMSprop",
}
_SCHEDULES = {
    "cosine": "scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)\n"
    "# scheduler.step() once after each epoch",
    "step": "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)\n"
    "# scheduler.step() once after each epoch",
    "plateau": "scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)\n"
    "# scheduler.step(validation_loss) after each epoch",
    "one-cycle": "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)\n"
    "# scheduler.step() after each step",
    "constant": "# without a scheduler",
}

_WORDS: Mapping[str, Callable[[Any], tuple[str, str]]] = {
    "lr": lambda v: (
        f"lr={v:.3g} in your optimizer",
        f"for group in optimizer.param_groups: group['lr'] = {v:.3g}",
    ),
    "momentum": lambda v: (f"momentum={v:g} in your optimizer", ""),
    "beta2": lambda v: (f"betas=(…, {v:g}) in your optimizer", ""),
    "alpha": lambda v: (f"alpha={v:g} in your optimizer", ""),
    "clip_norm": lambda v: (
        f"gradients clipped to a norm of {v:g}" if v else "no gradient clipping",
        f"torch.nn.utils.clip_grad_norm_(model.parameters(), {v:g})  # between backward and step"
        if v
        else "",
    ),
    "class_weights": lambda v: (
        "a loss weighted by class" if v == "balanced" else "a loss without class weights",
        "counts = torch.bincount(labels)  # of your training images\n"
        "criterion = nn.CrossEntropyLoss(weight=len(labels) / (len(counts) * counts))"
        if v == "balanced"
        else "",
    ),
    "mixup": lambda v: (f"mixup with alpha={v:g}" if v else "no mixup", ""),
    "weight_decay": lambda v: (f"weight_decay={v:g} in your optimizer", ""),
    "optimiser": lambda v: (f"{_OPTIMIZERS.get(v, v)} as your optimizer", ""),
    "batch_size": lambda v: (f"batch_size={v} in your DataLoader", ""),
    "epochs": lambda v: (f"{v} epochs", ""),
    "schedule": lambda v: (f"a learning-rate schedule ({v})", _SCHEDULES.get(v, "")),
    "warmup_epochs": lambda v: (f"a warm-up of {v:g} epochs", ""),
    "label_smoothing": lambda v: (f"label_smoothing={v:g} in your CrossEntropyLoss", ""),
    "limit": lambda v: ("all of your training images" if v is None else f"{v} training images", ""),
    "scale": lambda v: (
        "inputs with mean 0 and standard deviation 1",
        "transforms.Normalize(mean, std)  # of your training images, after ToTensor",
    ),
    "pad_crop": lambda v: (f"transforms.RandomCrop(size, padding={v})" if v else "no random crop", ""),
    "flip": lambda v: ("no mirroring" if v == "none" else "transforms.RandomHorizontalFlip()", ""),
    "cutout": lambda v: (f"a cutout of {v} pixels" if v else "no cutout", ""),
}

_BY_CAUSE: Mapping[str, CodeFix] = {
    "initialisation": CodeFix(
        "Initialize convolutions and fully connected layers for ReLU (He et al., 2015), or put batch "
        "normalization after each convolution.",
        "for part in model.modules():\n    if isinstance(part, (nn.Conv2d, nn.Linear)):\n"
        "        nn.init.kaiming_normal_(part.weight, nonlinearity='relu')\n        "
        "nn.init.zeros_(part.bias)",
    ),
    "input-scale": CodeFix(
        "Scale your inputs to mean 0 and standard deviation 1.", "images = (images - mean) / std"
    ),
    "vanishing-gradients": CodeFix("Use ReLU, and batch normalization after each convolution."),
    "exploding-gradients": CodeFix(
        "Clip the gradient, and lower the learning rate.",
        "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # before optimizer.step()",
    ),
    "dead-relu": CodeFix("Lower the learning rate, or use nn.LeakyReLU in place of nn.ReLU."),
    "evaluation-mode": CodeFix(
        "Call model.eval() before images are judged, and model.train() before training goes on.",
        "model.eval()\nwith torch.no_grad():\n    ...  # evaluate\nmodel.train()",
    ),
    "output-activation": CodeFix(
        "Give cross-entropy the last layer's sums as they are: remove the activation.",
        "loss = nn.functional.cross_entropy(logits, labels)  # no softmax, sigmoid or ReLU on logits",
    ),
    "dropout": CodeFix("Drop less: p=0.2 in your dropout layers."),
    "weight-decay": CodeFix("Less weight decay: weight_decay=1e-4 in your optimizer."),
    "over-fitting-data": CodeFix("Use more training images, or show them changed (augmentation)."),
    "over-fitting-augmentation": CodeFix(
        "Show every image changed, where your transforms do not do so yet.",
        "transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()",
    ),
    "over-fitting-model": CodeFix("Use a smaller network, or dropout before its last layer."),
    "under-fitting": CodeFix("Use a wider network, or train for longer."),
    "too-few-steps": CodeFix("Train for more steps: more epochs, or smaller batches."),
    "batch-too-large": CodeFix("Use smaller batches: batch_size=64 in your DataLoader."),
    "unstable-training": CodeFix("Lower the learning rate to a third, or let it fall by a schedule."),
    "classes-unbalanced": CodeFix(
        "Weigh the classes, or draw rare ones more often.", "nn.CrossEntropyLoss(weight=class_weights)"
    ),
}


# Fixes for loops that a framework runs, in its own settings: the user has no loop to write code into.

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

_SETTINGS_BY_CAUSE: Mapping[str, Mapping[str, CodeFix]] = {
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
    return _SETTINGS_BY_CAUSE.get(framework, {}).get(finding.cause)


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


def as_code_fix(change: Change) -> CodeFix:
    """Convert a recipe change to text and code for a user's own loop."""
    words, code = [], []
    for field, value in change.values.items():
        if field not in _WORDS:
            continue
        text, line = _WORDS[field](value)
        words.append(text)
        code += [line] if line else []
    if not words:
        return CodeFix(change.why)
    return CodeFix(f"Use {' and '.join(words)}. {change.why}", "\n".join(code))


def _for_keras(fix: CodeFix, change: Change | None) -> CodeFix:
    """Return a fix without PyTorch's code, for `model.fit`."""
    rate = change.values.get("lr") if change is not None else None
    text = fix.text.replace("in your DataLoader", "in model.fit")
    return CodeFix(text, f"model.optimizer.learning_rate = {rate:.3g}" if rate is not None else "")


def with_code_fix(finding: Finding, framework: str = "torch") -> Finding:
    """Return the finding with a fix in text and code, in place of recipe changes.

    Args:
        finding: The finding.
        framework: What runs the loop: `torch` (the user's own code), `lightning`, `transformers` or `keras`.
    """
    if (own := framework_fix(finding, framework)) is not None:
        return replace(finding, changes=(), fix=own)
    fix = finding.fix
    if fix is None and finding.changes:
        fix = as_code_fix(finding.changes[0])
    if fix is None:
        fix = _BY_CAUSE.get(finding.cause)
    if fix is not None and framework == "keras":
        fix = _for_keras(fix, finding.changes[0] if finding.changes else None)
    return replace(finding, changes=(), fix=fix)


# What is not known of such a run, and how to provide it.

_DATA = (
    "A watched run shows cnnviz its batches, not its data set: prepare it with 'cnnviz data prepare' to see."
)
_EVALUATION = "Call run.evaluate(logits, labels) in your evaluation loop."
_OPTIMIZER = "Only SGD, Adam and AdamW are known here."
HOW_TO_PROVIDE: Mapping[str, str] = dict.fromkeys(
    (
        "leakage", "split-mismatch", "labels-noisy", "labels-shuffled", "data-enlarged", "data-channels",
        "constant-input", "classes-missing", "classes-unbalanced",
    ),
    _DATA,
) | dict.fromkeys(
    (
        "over-fitting-data", "over-fitting-model", "over-fitting-augmentation", "evaluation-mode",
        "batch-norm-unsettled", "unstable-training", "labels-permuted",
    ),
    _EVALUATION,
)  # fmt: skip
NEEDS: Mapping[str, tuple[str, ...]] = {
    "augmentation-too-strong": ("pad_crop",),
    "over-fitting-augmentation": ("pad_crop",),
    "rate-too-high": ("optimiser", "lr"),
    "rate-too-low": ("optimiser", "lr"),
    "weight-decay": ("optimiser", "weight_decay"),
    "batch-too-small": ("optimiser", "lr", "batch_size"),
    "batch-too-large": ("batch_size",),
    "too-few-steps": ("steps",),
    "unstable-training": ("optimiser",),
    "classes-missing": ("labels",),
    "classes-unbalanced": ("labels",),
}
"""Recipe fields that a rule requires."""
_FIELD_WORDS = {
    "pad_crop": "what your transforms do to the images, which happens before cnnviz sees them: compare with "
    "a run without augmentation",
    "optimiser": f"the optimizer's rule. {_OPTIMIZER}",
    "lr": "the learning rate",
    "batch_size": "the batch size: let the loss be seen, or call run.step(loss, logits, labels)",
    "weight_decay": "the weight decay",
    "steps": "the number of steps: the file counts epochs. Give it to cnnviz runs import FILE "
    "--steps-per-epoch N",
    "labels": "the labels of training images: let the loss be seen, or call run.step(loss, logits, labels)",
}


IMPORTED = "imported"
"""Kind of a run of which there is a file of curves: nothing can be called in its loop any more."""
_NOT_IN_HISTORY = {
    "pad_crop": "what was done to the images",
    "optimiser": "the optimizer's rule",
    "lr": "the learning rate (a column lr)",
    "batch_size": "the batch size",
    "weight_decay": "the weight decay",
    "labels": "the labels of the training images",
}


def missing_fields(cause: str, evidence: Evidence) -> str | None:
    """Return what a rule requires that is not known of this run; None where it is applicable."""
    if cause == "augmentation-too-strong" and evidence.loop is not None:
        return None  # training images are compared with judged ones
    missing = [field for field in NEEDS.get(cause, ()) if field in evidence.unknown]
    if missing and evidence.kind == IMPORTED and missing[0] in _NOT_IN_HISTORY:
        return f"The history does not hold {_NOT_IN_HISTORY[missing[0]]}."
    return f"Not known of this loop: {_FIELD_WORDS[missing[0]]}." if missing else None


_NO_EPOCHS = "No epoch has ended yet"
_FROM_CURVES = frozenset(("over-fitting-data", "over-fitting-model", "under-fitting"))
"""Causes that the accuracies of epochs show, of training and of other images."""


def _missing_of_history(cause: str, reason: str, evidence: Evidence) -> str:
    """Return why a rule is inconclusive for a history: nothing can be called in its loop any more."""
    if not reason.startswith(_NO_EPOCHS):
        return reason.split("; the probe")[0].rstrip(".;") + "."
    if cause not in _FROM_CURVES:
        return "The history does not hold the answers of an epoch."
    if not any(evidence.curve(f"{part}/accuracy") for part in ("val", "test")):
        return "The history has no accuracy on images that were not learned from."
    if not evidence.curve("train/epoch_accuracy"):
        return "The history has no training accuracy over whole epochs (a column such as train_acc_epoch)."
    if evidence.classes < 2:
        return "The number of classes is not known: give it to cnnviz runs import FILE --classes N."
    return (
        "On how many images its accuracy was measured is not known: give it to cnnviz runs import FILE "
        "--held-out N."
    )


def how_to_provide(cause: str, reason: str, evidence: Evidence) -> str:
    """Append to the reason how a watched run can provide what is missing."""
    if evidence.kind == IMPORTED:
        return _missing_of_history(cause, reason, evidence)
    remedy = HOW_TO_PROVIDE.get(cause)
    plain = reason.split("; the probe")[0].rstrip(".;") + "."
    return f"{plain} {remedy}" if remedy and remedy not in plain else plain
