"""Every step from the picture to the tensor, so that one can look at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets.image_files import DEEP, GRAY
from cnnviz.inference import stages
from cnnviz.inference.picture import Picture, Pixels
from cnnviz.inference.preprocessing import Preprocessing, Size

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 1_024
"""Pixels; longer sides are shown reduced."""
SCALES = {
    "unit": "divided by 255",
    "raw": "left from 0 to 255",
    "standardised": "less the training images' mean and divided by their standard deviation, by channel",
    "raw-minus-mean": "less the training images' mean",
    "unit-standardised": "divided by 255, less a mean and divided by a standard deviation, by channel",
}


@dataclass(frozen=True, eq=False)
class Step:
    """One step: what it is called, what it does to this picture, and the picture after it.

    `picture` is uint8 `(H, W, C)` for showing, C 1 or 3 (4 where transparency is shown); reduced where a
    side is longer than 1,024 pixels, while `size` is the true `(H, W)`. The last step alone has `tensor`,
    float `(1, C, H, W)`: what the model reads.
    """

    name: str
    text: str
    picture: Pixels
    size: Size
    tensor: Tensor | None = None


class _Stage(NamedTuple):
    name: str
    text: str
    pixels: Pixels


def steps(picture: Picture, how: Preprocessing) -> tuple[Step, ...]:
    """Every step that `how` takes with `picture`, the file first, the model's input last."""
    found = [_shown(stage) for stage in _stages(picture, how)]
    pixels = _batch(stored(picture, how))
    cut = how.centred(pixels)
    if cut.shape[-2:] != pixels.shape[-2:] or how.crop_from is not None:
        found.append(_shown(_Stage("cropped", _cropped_text(pixels, how), _rounded(cut))))
    tensor = how.normalised(cut)
    text = (
        f"Pixels {SCALES[how.scale]}; values from {tensor.min():.3g} to {tensor.max():.3g}, shown stretched."
    )
    shown = _shown(_Stage("normalised", text, _stretched(tensor)))
    return (*found, Step(shown.name, shown.text, shown.picture, shown.size, tensor))


def stored(picture: Picture, how: Preprocessing) -> Pixels:
    """The picture as an image of the training data is stored, uint8 `(C, H, W)`: for `how.inputs`."""
    *_, last = _stages(picture, how)
    return np.array(last.pixels.transpose(2, 0, 1), order="C")


def _stages(picture: Picture, how: Preprocessing) -> Iterator[_Stage]:
    yield _Stage("original", _original_text(picture), picture.pixels)
    pixels = stages.flattened(picture, how.background)
    if picture.pixels.shape[2] == 4:
        yield _Stage("flattened", f"What is transparent shows {how.background} from behind.", pixels)
    turned = stages.upright(pixels, picture.orientation) if how.oriented else pixels
    yield _Stage("oriented", _oriented_text(picture.orientation, how.oriented), turned)
    pixels = stages.in_channels(turned, how.channels)
    yield _Stage(
        "grey" if how.channels == 1 else "colour", _channels_text(picture.mode, how.channels), pixels
    )
    if how.invert:
        pixels = 255 - pixels
        yield _Stage("inverted", "Light and dark exchanged: every value is 255 less what it was.", pixels)
    if how.centre:
        pixels = stages.centred(pixels)
        yield _Stage("centred", "Cut to what is light, its centre of mass in the middle of a frame.", pixels)
    resized = stages.fitted(pixels, how)
    yield _Stage("resized", _resized_text(pixels, resized, how), resized)


def _original_text(picture: Picture) -> str:
    height, width = picture.size
    text = f"{picture.format or 'Pixels'}, {width}×{height}, Pillow's mode {picture.mode}"
    if picture.moving:
        text += ", the first of several frames"
    if picture.mode in DEEP:
        text += "; more than eight bits, scaled to eight as training data are"
    return text + "."


def _oriented_text(orientation: int, oriented: bool) -> str:
    if orientation not in stages.TURNS:
        return "Unchanged: the file says that it is upright, or says nothing."
    if not oriented:
        return f"Left as it lies, though its camera noted that it is turned (EXIF {orientation})."
    return f"Turned upright, as its camera noted (EXIF {orientation})."


def _channels_text(mode: str, channels: int) -> str:
    if channels == 3:
        grey = mode in GRAY
        return "Unchanged: three channels." if not grey else "Grey copied into three channels."
    return "One channel: 0.299 red, 0.587 green, 0.114 blue (BT.601)."


def _resized_text(before: Pixels, after: Pixels, how: Preprocessing) -> str:
    (height, width), (rows, columns) = before.shape[:2], after.shape[:2]
    if (height, width) == (rows, columns):
        return f"Unchanged: {width}×{height} already."
    ways = {
        "crop": f"The middle with the proportions of {columns}×{rows} resized to that",
        "pad": f"Resized and padded to {columns}×{rows}",
        "stretch": f"Stretched to {columns}×{rows}",
        "shorter": f"The shorter side resized to {how.stored[0]}, then the middle {columns}×{rows} cut out",
    }
    return f"{ways[how.fit]} ({how.resample}), from {width}×{height}."


def _cropped_text(pixels: Tensor, how: Preprocessing) -> str:
    height, width = how.side
    enlarged = how.crop_from or height
    text = f"Resized from {pixels.shape[3]}×{pixels.shape[2]} (bilinear), as in training"
    return (
        f"{text}, to {enlarged}×{enlarged}, the middle {width}×{height} cut out."
        if how.crop_from
        else f"{text}, to {width}×{height}."
    )


def _batch(image: Pixels) -> Tensor:
    import torch

    return torch.from_numpy(image)[None]


def _rounded(pixels: Tensor) -> Pixels:
    found: Pixels = pixels[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return found


def _stretched(tensor: Tensor) -> Pixels:
    low, high = tensor.min(), tensor.max()
    return _rounded((tensor - low) * (255 / (high - low).clamp(min=1e-12)))


def _shown(stage: _Stage) -> Step:
    height, width = stage.pixels.shape[:2]
    if max(height, width) <= SHOWN:
        return Step(stage.name, stage.text, stage.pixels, (height, width))
    from PIL import Image

    channels = stage.pixels.shape[2]
    small = Image.fromarray(stage.pixels[..., 0] if channels == 1 else stage.pixels)
    small.thumbnail((SHOWN, SHOWN))
    picture = np.asarray(small)
    return Step(stage.name, stage.text, picture if channels > 1 else picture[..., None], (height, width))
