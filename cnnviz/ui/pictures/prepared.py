"""A picture on its way into a network, every step kept small for looking at; worked out once."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.inference.picture import Picture, Pixels
from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from torch import Tensor

THUMB = 168
"""Pixels of a step's longer side as it is shown."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One step for looking at."""

    name: str
    text: str
    png: bytes
    size: tuple[int, int]
    """Height and width of the step's picture itself."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture as a network reads it."""

    name: str
    truth: str | None
    digest: str
    """Differs whenever the tensor may."""
    shots: tuple[Shot, ...]
    stored: Pixels
    """uint8 `(C, H, W)`, as an image of the training data is stored."""
    tensor: Tensor
    """float32 `(1, C, H, W)`, what the network reads."""
    seen: Pixels
    """uint8 `(H, W, C)`, the same before it became numbers."""
    how: Preprocessing


def prepared(picture: Picture, how: Preprocessing) -> Prepared:
    """The picture prepared as `how` says."""
    return _prepared(_digest(picture), how.model_dump_json(), picture, how)


def _digest(picture: Picture) -> str:
    facts = repr((picture.name, picture.pixels.shape, picture.mode, picture.orientation, picture.format))
    sums = hashlib.blake2b(facts.encode(), digest_size=12)
    sums.update(np.ascontiguousarray(picture.pixels).data)
    return sums.hexdigest()


@RESULTS.cached()
def _prepared(digest: str, settings: str, _picture: Picture, _how: Preprocessing) -> Prepared:
    from cnnviz.inference.steps import steps, stored

    found = steps(_picture, _how)
    shots = tuple(Shot(step.name, step.text, _png(step.picture), step.size) for step in found)
    tensor = found[-1].tensor
    assert tensor is not None
    key = hashlib.blake2b(f"{digest} {settings}".encode(), digest_size=12).hexdigest()
    return Prepared(
        _picture.name, _picture.truth, key, shots, stored(_picture, _how), tensor, found[-2].picture, _how
    )


def _png(pixels: Pixels) -> bytes:
    """Reduced where it is large; small pictures are left to the browser to enlarge."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    if max(image.size) > 2 * THUMB:
        image.thumbnail((2 * THUMB, 2 * THUMB))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
