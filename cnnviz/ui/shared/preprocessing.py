"""A picture on its way into a network, every step kept small for looking at; worked out once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.read_image import Picture, Pixels
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

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
class PreprocessedImage:
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


def prepared(picture: Picture, how: Preprocessing) -> PreprocessedImage:
    """The picture prepared as `how` says."""
    return _prepared(_digest(picture), how.model_dump_json(), picture, how)


def _digest(picture: Picture) -> str:
    facts = repr((picture.name, picture.pixels.shape, picture.mode, picture.orientation, picture.format))
    sums = hashlib.blake2b(facts.encode(), digest_size=12)
    sums.update(np.ascontiguousarray(picture.pixels).data)
    return sums.hexdigest()


@RESULTS.cached()
def _prepared(digest: str, settings: str, _picture: Picture, _how: Preprocessing) -> PreprocessedImage:
    from cnnviz.inference.images.preprocessing_trace import steps, stored

    result = steps(_picture, _how)
    shots = tuple(Shot(step.name, step.text, _png(step.picture), step.size) for step in result)
    tensor = result[-1].tensor
    assert tensor is not None
    key = hashlib.blake2b(f"{digest} {settings}".encode(), digest_size=12).hexdigest()
    return PreprocessedImage(
        _picture.name, _picture.truth, key, shots, stored(_picture, _how), tensor, result[-2].picture, _how
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


# Changes to a network's own preprocessing, as the URL holds them: `invert:true,fit:pad`.

CHOICES = ("fit", "resample", "background", "scale")
SWITCHES = ("oriented", "invert", "centre")
CHANGEABLE = (*SWITCHES, *CHOICES)


def read_overrides(text: str | None, own: Preprocessing) -> tuple[Preprocessing, str | None]:
    """The preprocessing with the changes that fit, and a sentence on those that do not."""
    if not text:
        return own, None
    changes: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        if name not in CHANGEABLE:
            return own, f"“prep” cannot change {url_state.quoted(name)}, only {', '.join(CHANGEABLE)}."
        changes[name] = value == "true" if name in SWITCHES else value
    try:
        return own.changed(**changes), None
    except ValueError as error:
        return own, f"{error} The network's own is used."


def write_overrides(changes: Mapping[str, Any]) -> str | None:
    """Changes as the URL holds them; None for none."""
    texts = (f"{name}:{str(value).lower()}" for name, value in changes.items())
    return ",".join(texts) or None


def changed(how: Preprocessing, own: Preprocessing) -> dict[str, Any]:
    """The fields in which `how` differs from the network's own."""
    return {name: getattr(how, name) for name in CHANGEABLE if getattr(how, name) != getattr(own, name)}


def change(name: str, value: object, how: Preprocessing, own: Preprocessing) -> None:
    """Change one field of `how` in the URL; `own` is the network's, which needs no mention there."""
    changes = changed(how, own) | {name: value}
    change_without_model(
        prep=write_overrides({field: kept for field, kept in changes.items() if kept != getattr(own, field)})
    )


def values(name: str, own: Preprocessing) -> list[str]:
    """What a field can be for this network."""
    possible: list[str] = []
    for value in get_args(type(own).model_fields[name].annotation):
        for one in get_args(value) or (value,):
            try:
                own.changed(**{name: one})
            except ValueError:
                continue
            possible.append(str(one))
    return possible
