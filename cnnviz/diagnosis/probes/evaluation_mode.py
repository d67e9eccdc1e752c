"""How good the checkpoint is in each mode, beside what the run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject, main_logits
from cnnviz.training.engine import seed_layers
from cnnviz.training.evaluate import evaluate
from cnnviz.training.material import Labelled, mixed


def _told(found: Mapping[str, Any]) -> str:
    recorded = "" if found["recorded"] is None else f"; the run recorded {percent(found['recorded'], 1)}"
    return (
        f"Test accuracy is {percent(found['evaluation'], 1)} in evaluation mode and "
        f"{percent(found['training'], 1)} in training mode{recorded}."
    )


@register(
    "evaluation-mode",
    title="Accuracy in both modes",
    summary="What was recorded should be the accuracy in evaluation mode, not in training mode.",
    trained=True,
    told=_told,
)
def evaluation_mode(subject: Subject) -> Found:
    """Test accuracies of the checkpoint: `evaluation`, `training`, `recorded` (None where none is), `images`.

    In training mode batches are of the recipe's size.
    """
    test = subject.material.test
    chosen = Labelled(*subject.some(test, subject.affordable(2)))
    right = evaluate(subject.copy(), chosen, subject.preparation).accuracy
    seed_layers(subject.device, mixed(subject.recipe.seed, 0, 6))
    wrong = _in_training_mode(subject, chosen)
    return {
        "evaluation": right,
        "training": wrong,
        "recorded": _recorded(subject.evidence, subject.step),
        "images": len(chosen),
    }


def _in_training_mode(subject: Subject, images: Labelled) -> float:
    model, right = subject.copy().train(), 0
    with torch.no_grad():
        for start in range(0, len(images), subject.recipe.batch_size):
            here = slice(start, start + subject.recipe.batch_size)
            logits = main_logits(model(subject.preparation.test(images.images[here])))
            right += int((logits.argmax(1) == images.labels[here]).sum())
    return right / len(images)


def _recorded(evidence: Evidence, step: int) -> float | None:
    """The test accuracy told at the checkpoint's step."""
    points = evidence.curve("test/accuracy")
    return dict(zip(points.steps, points.values, strict=True)).get(step)
