"""Reasons for blank maps: why an attribution shows nothing, and how many feature maps are constant."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.interpret.hooks import shared_copy
from cnnviz.interpret.mosaic import Floats

NOT_FINITE = (
    "The map holds values that are not finite numbers: the weights or what the layers give are too large, or "
    "not numbers. A map of them shows nothing."
)
BLANK_PICTURE = "The image has the same value everywhere, so no part of it can say more than another."
DEAD_LAYER = "The layer '{layer}' gives 0 everywhere for this image, so nothing in it can be weighed."
NO_GRADIENT = (
    "The class's score does not change with {what}: its gradient is 0 everywhere, as behind units that are "
    "dead or saturated."
)
SPEAKS_AGAINST = (
    "Nothing at the layer '{layer}' speaks for the class: what it shows speaks against it or is indifferent. "
    "Try another layer or class."
)
IS_BASELINE = (
    "The image is the gray that the method starts from (0 for the network), so the way there has no length."
)
COVERED_ALIKE = "The score stays the same whichever patch is covered, so no place matters to it."
ROUNDING = 1e-6
"""Relative tolerance, by a map's largest value, for sums in another order."""
CONSTANT = "The map has the same value everywhere, so it says nothing of where."


def blank_reason(
    method: str, values: Floats, model: nn.Module, image: Tensor, target: int, layer: str = ""
) -> str:
    """Explain why an attribution map shows nothing, in a sentence or two; empty where it shows something.

    Args:
        method: One of `attribution.METHODS`.
        values: The map; Grad-CAM's before upsampling.
        model: The model in evaluation mode; it is not changed.
        image: Model input, `(1, C, H, W)`.
        target: Class index.
        layer: Grad-CAM's layer.
    """
    if not np.isfinite(values).all():
        return NOT_FINITE
    if values.size > 1 and values.any() and np.ptp(values) <= ROUNDING * np.abs(values).max():
        return _with_picture(CONSTANT, image)
    if values.any():
        return ""
    if method == "gradcam":
        return _with_picture(_gradcam(model, image, target, layer), image)
    if method in ("saliency", "guided-backprop", "smoothgrad"):
        return _with_picture(NO_GRADIENT.format(what="the image"), image)
    if not image.any():
        return _with_picture(IS_BASELINE, image)
    if method == "occlusion":
        return _with_picture(COVERED_ALIKE, image)
    return _with_picture(NO_GRADIENT.format(what="the image, anywhere on the way to it"), image)


def constant_maps(maps: Floats) -> int:
    """Count the maps of `(C, H, W)` with more than one cell that have the same nonzero value everywhere."""
    flat = maps.reshape(len(maps), -1)
    if flat.shape[1] < 2:
        return 0
    return int(((flat == flat[:, :1]).all(axis=1) & (flat[:, 0] != 0)).sum())


def _gradcam(model: nn.Module, image: Tensor, target: int, layer: str) -> str:
    copied, outputs = shared_copy(model), []

    def record(module: nn.Module, args: object, out: Tensor) -> Tensor:
        outputs.append(out if out.requires_grad else out.detach().requires_grad_())
        return outputs[-1].clone()

    dict(copied.named_modules())[layer].register_forward_hook(record)
    score = copied(image)[0, target]
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(score, outputs[-1], allow_unused=True)
    gradient = gradients[0]
    if not outputs[-1].any():
        return DEAD_LAYER.format(layer=layer)
    if gradient is None or not gradient.any():
        return NO_GRADIENT.format(what=f"what the layer '{layer}' gives")
    return SPEAKS_AGAINST.format(layer=layer)


def _with_picture(reason: str, image: Tensor) -> str:
    """Put the most common cause, an image of one value, before the reason where it applies."""
    flat = image.flatten(2)
    blank = bool((flat == flat[..., :1]).all())
    return f"{BLANK_PICTURE} {reason}" if blank else reason
