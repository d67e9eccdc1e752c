"""Deletion check of an attribution: cover the regions of most and of least attribution, and predict again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.inference.predict import logit_lead
from cnnviz.interpret import InterpretError
from cnnviz.interpret.attribution import Attribution, upsample
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL, Bytes, apply_colormap
from cnnviz.interpret.hooks import shared_copy
from cnnviz.interpret.mosaic import Floats

SHARE = 1 / 3
"""Side of a covered region, as a fraction of the image's."""


@dataclass(frozen=True)
class Deletion:
    """Prediction with one region covered."""

    box: tuple[int, int, int, int]
    """`(top, left, bottom, right)` in pixels of the input, ends excluded."""
    mass: float
    """Fraction of the total absolute attribution in the box, at most 1; below 0 where it speaks against the
    class.
    """
    probabilities: Floats
    """`(classes,)`."""
    lead: float
    """Logit of the class minus the largest other logit."""


@dataclass(frozen=True)
class DeletionCheck:
    """Predictions with the regions of most and of least attribution covered, and the original one."""

    target: int
    before: Floats
    """Probabilities for the original image, `(classes,)`."""
    most: Deletion
    least: Deletion
    lead: float
    """As `Deletion.lead`, for the original image."""

    @property
    def confirms(self) -> bool:
        """Whether the class loses more with the region of most attribution covered."""
        return self.most.lead < self.least.lead


def check_deletion(
    model: nn.Module, image: Tensor, attribution: Attribution, share: float = SHARE, fill: float = 0.0
) -> DeletionCheck:
    """Cover the regions of most and of least attribution with `fill`, one at a time, and predict again.

    A region is a box of `share` of the image's height and width.

    Raises:
        InterpretError: For a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InterpretError(f"A region's side is a share of the image's between 0 and 1, not {share}.")
    height, width = attribution.values.shape
    box = max(1, round(height * share)), max(1, round(width * share))
    sums = _box_sums(attribution.values.astype(np.float64), box)
    total = float(np.abs(attribution.values).sum()) or 1.0
    corners = [np.unravel_index(int(index), sums.shape) for index in (sums.argmax(), sums.argmin())]
    boxes = [(int(y), int(x), int(y) + box[0], int(x) + box[1]) for y, x in corners]
    batch = image.repeat(3, 1, 1, 1)
    for covered, (top, remaining, bottom, right) in zip(batch[1:], boxes, strict=True):
        covered[:, top:bottom, remaining:right] = fill
    with torch.no_grad():
        logits = shared_copy(model)(batch).float()
    probabilities: Floats = torch.softmax(logits, dim=1).cpu().numpy()
    lead, *leads = logit_lead(logits, attribution.target).tolist()
    most, least = (
        Deletion(region, float(sums[region[0], region[1]]) / total, after, remaining)
        for region, after, remaining in zip(boxes, probabilities[1:], leads, strict=True)
    )
    return DeletionCheck(attribution.target, probabilities[0], most, least, lead)


def _box_sums(values: NDArray[np.float64], box: tuple[int, int]) -> NDArray[np.float64]:
    """Sum over a box at each position where it fits, by a summed-area table."""
    corner = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = box
    rows = corner[height:] - corner[:-height]
    sums: NDArray[np.float64] = rows[:, width:] - rows[:, :-width]
    return sums


def overlay(picture: Bytes, values: Floats, opacity: float = 0.5, signed: bool = False) -> Bytes:
    """Blend an attribution `(h, w)` over an image `(H, W, 3)`, uint8 `(H, W, 3)`.

    The largest magnitude gets the end of the color map; signed values diverge from zero (blue against, orange
    for).

    Raises:
        InterpretError: For an opacity outside [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise InterpretError(f"Opacity lies between 0 and 1, not at {opacity}.")
    height, width = picture.shape[:2]
    resized = values if values.shape == (height, width) else upsample(values, (height, width))
    limit = float(np.abs(resized).max()) or 1.0
    colors = (
        apply_colormap(resized, -limit, limit, DIVERGING["light"])
        if signed
        else apply_colormap(resized, 0.0, limit, SEQUENTIAL)
    )
    return np.round(picture * (1 - opacity) + colors * opacity).astype(np.uint8)
