"""What fresh weights answer, before anything is learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject, finite, main_logits, written

IMAGES = 256


def _told(found: Mapping[str, Any]) -> str:
    return f"It is {written(found['loss'])}; guessing has {found['chance_loss']:.4g}, ln(classes)."


@register(
    "initial-loss",
    title="Loss of fresh weights",
    summary="Before the first step nothing is known, so the loss should be near ln(classes).",
    told=_told,
)
def initial_loss(subject: Subject) -> Found:
    """`loss` of fresh weights in training mode, `chance_loss` = ln(classes), and the logits' spread.

    `logit_spread` is their standard deviation over images, mean over classes; `logit_offset` that of their
    means over classes: how much is said before an image is seen.
    """
    images, labels = subject.some(subject.material.train, subject.affordable(most=IMAGES))
    model = subject.fresh().train()
    with torch.no_grad():
        logits = main_logits(model(subject.preparation.test(images))).float()
    return {
        "loss": finite(float(functional.cross_entropy(logits, labels))),
        "chance_loss": math.log(len(subject.material.classes)),
        "logit_spread": finite(float(logits.std(0, correction=0).mean())),
        "logit_offset": finite(float(logits.mean(0).std(correction=0))),
        "images": len(labels),
    }
