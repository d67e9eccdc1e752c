"""Preprocessing of an image for a network, with thumbnails of every step; cached."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.read_image import Picture
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from torch import Tensor

THUMB = 168
"""Longer side of a step's thumbnail as shown, in pixels."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One preprocessing step with its thumbnail."""

    name: str
    text: str
    png: bytes
    size: tuple[int, int]
    """Height and width of the step's image itself."""


@dataclass(frozen=True, eq=False)
class PreprocessedImage:
    """An image, preprocessed for a network."""

    name: str
    truth: str | None
    digest: str
    """Changes whenever the tensor may."""
    shots: tuple[Shot, ...]
    stored: Pixels
    """uint8 `(C, H, W)`, as images of the training data are stored."""
    tensor: Tensor
    """float32 `(1, C, H, W)`, the network's input."""
    seen: Pixels
    """uint8 `(H, W, C)`, the input before it is scaled and normalized."""
    how: Preprocessing


def prepared(picture: Picture, how: Preprocessing) -> PreprocessedImage:
    """Preprocess the image as `how` says."""
    return _prepared(_digest(picture), how.model_dump_json(), picture, how)


def _digest(picture: Picture) -> str:
    facts = repr((picture.name, picture.pixels.shape, picture.mode, picture.orientation, picture.format))
    sums = hashlib.blake2b(facts.encode(), digest_size=12)
    sums.update(np.ascontiguousarray(picture.pixels).data)
    return sums.hexdigest()


@RESULTS.cached()
def _prepared(digest: str, settings: str, _picture: Picture, _how: Preprocessing) -> PreprocessedImage:
    from cnnviz.inference.images.preprocessing_trace import steps, stored_pixels

    result = steps(_picture, _how)
    shots = tuple(Shot(step.name, step.text, _png(step.picture), step.size) for step in result)
    tensor = result[-1].tensor
    assert tensor is not None
    key = hashlib.blake2b(f"{digest} {settings}".encode(), digest_size=12).hexdigest()
    return PreprocessedImage(
        _picture.name,
        _picture.truth,
        key,
        shots,
        stored_pixels(_picture, _how),
        tensor,
        result[-2].picture,
        _how,
    )


def _png(pixels: Pixels) -> bytes:
    """Encode as PNG, downscaled if large; the browser enlarges small images."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    if max(image.size) > 2 * THUMB:
        image.thumbnail((2 * THUMB, 2 * THUMB))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# Changes of a network's own preprocessing in the URL: `invert:true,fit:pad`.

CHOICES = ("fit", "resample", "background", "scale")
SWITCHES = ("oriented", "invert", "centre")
CHANGEABLE = (*SWITCHES, *CHOICES)


def read_overrides(text: str | None, own: Preprocessing) -> tuple[Preprocessing, str | None]:
    """Apply the URL's changes to the network's own preprocessing.

    Return it with an error sentence or None.
    """
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
    """Return changes as written in the URL; None if there are none."""
    texts = (f"{name}:{str(value).lower()}" for name, value in changes.items())
    return ",".join(texts) or None


def changed(how: Preprocessing, own: Preprocessing) -> dict[str, Any]:
    """Return the fields in which `how` differs from the network's own."""
    return {name: getattr(how, name) for name in CHANGEABLE if getattr(how, name) != getattr(own, name)}


def change(name: str, value: object, how: Preprocessing, own: Preprocessing) -> None:
    """Change one field of `how` in the URL; fields that equal the network's `own` are omitted."""
    changes = changed(how, own) | {name: value}
    change_without_model(
        prep=write_overrides(
            {field: new_value for field, new_value in changes.items() if new_value != getattr(own, field)}
        )
    )


def values(name: str, own: Preprocessing) -> list[str]:
    """Return the possible values of a field for this network."""
    possible: list[str] = []
    for value in get_args(type(own).model_fields[name].annotation):
        for candidate in get_args(value) or (value,):
            try:
                own.changed(**{name: candidate})
            except ValueError:
                continue
            possible.append(str(candidate))
    return possible
