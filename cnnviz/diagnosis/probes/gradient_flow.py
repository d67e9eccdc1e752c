"""What comes back to each layer, before the first step and now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from cnnviz.diagnosis.probing import Found, register
from cnnviz.diagnosis.subject import Subject, finite, main_logits, written

IMAGES = 64


def _told(found: Mapping[str, Any]) -> str:
    layers = found["layers"]
    if not layers:
        return "No layer has weights."
    ends = layers[0], layers[-1]
    fresh, now = (
        [written(one[when]["gradient"]) for one in ends if one[when] is not None]
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
    told=_told,
)
def gradient_flow(subject: Subject) -> Found:
    """`layers`, in order, of all that have weights: `name`, and figures `fresh` and `trained`.

    These are the L2 norms of the `weight` and of its `gradient` for one training batch, and their `ratio`;
    `trained` is None without a checkpoint.
    """
    fresh = _figures(subject, subject.fresh())
    trained = _figures(subject, subject.copy()) if subject.trained is not None else {}
    layers = [{"name": name, "fresh": values, "trained": trained.get(name)} for name, values in fresh.items()]
    return {"layers": layers, "images": _count(subject)}


def _count(subject: Subject) -> int:
    return min(subject.affordable(6, IMAGES), len(subject.material.train))


def _figures(subject: Subject, model: nn.Module) -> dict[str, dict[str, Any]]:
    images, labels = subject.some(subject.material.train, _count(subject))
    model.train()
    loss = functional.cross_entropy(main_logits(model(subject.preparation.test(images))), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    found = {}
    for name, part in model.named_modules():
        own = [p for p in part.parameters(recurse=False) if p.grad is not None and p.dim() > 1]
        if not own:
            continue
        with torch.no_grad():
            weight = float(torch.stack([p.norm() for p in own]).norm())
            gradient = float(torch.stack([p.grad.norm() for p in own if p.grad is not None]).norm())
        found[name] = {
            "weight": finite(weight),
            "gradient": finite(gradient),
            "ratio": finite(gradient / max(weight, 1e-12)),
        }
    return found
