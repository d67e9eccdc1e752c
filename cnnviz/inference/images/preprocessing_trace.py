"""Preprocessing trace: every step from the image to the input tensor, and checks of what goes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets.image_files import DEEP, GRAY
from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.preprocessing import Background, Preprocessing, Size
from cnnviz.inference.images.read_image import Picture
from cnnviz.sentences import american

if TYPE_CHECKING:
    from PIL import Image as Pillow
    from torch import Tensor


# Image operations before scaling: each maps uint8 `(H, W, C)` to the same.

TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
         7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
"""Exif orientations, and Pillow's transposition that undoes each."""
GREYS = {"white": 255, "grey": 128, "black": 0}
STRIP = 1 << 20
"""Pixels converted to grayscale at once: as floats, 40 million would take gigabytes."""
DIGIT_SHARE = 20 / 28
"""MNIST's digits fill a box of 20 in 28 pixels, their center of mass in the middle (LeCun et al., 1998)."""
INK = 0.2
"""Fraction of the brightest value from which on a pixel counts as ink."""


def flattened(picture: Picture, background: Background) -> Pixels:
    """Composite the image's transparent pixels on `background`."""
    if picture.pixels.shape[2] == 3:
        return picture.pixels
    from PIL import Image

    clear = Image.fromarray(picture.pixels)
    below = Image.new("RGBA", clear.size, (GREYS[background],) * 3)
    return np.asarray(Image.alpha_composite(below, clear).convert("RGB"))


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an Exif orientation."""
    if orientation not in TURNS:
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).transpose(Image.Transpose[TURNS[orientation]]))


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """Convert color `(H, W, 3)` to grayscale `(H, W, 1)`, as data sets are; unchanged for three channels."""
    if channels == pixels.shape[2]:
        return pixels
    import torch

    from cnnviz.datasets import convert_images

    height, width = pixels.shape[:2]
    grey = np.empty((height, width, 1), dtype=np.uint8)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        # Always a copy: decoded pixels are read-only, of which torch warns, and a single one is contiguous.
        strip = np.array(pixels[top : top + rows].transpose(2, 0, 1), order="C")[None]
        grey[top : top + rows, :, 0] = convert_images(torch.from_numpy(strip), (1, *strip.shape[2:])).numpy()[
            0, 0
        ]
    return grey


class InkBox(NamedTuple):
    """Bounding box of bright content, ends excluded, and its center of mass."""

    top: int
    left: int
    bottom: int
    right: int
    middle: tuple[float, float]


def ink_box(pixels: Pixels) -> InkBox | None:
    """Locate the bright content of `(H, W, C)`; None where there is none."""
    values = pixels.max(2)
    drawn = np.argwhere(values > INK * max(1, int(values.max())))
    if not len(drawn):
        return None
    (top, left), (bottom, right) = drawn.min(0), drawn.max(0) + 1
    weights = values[top:bottom, left:right].astype(np.float64)
    y, x = (
        float((weights.sum(1 - axis) * np.arange(weights.shape[axis])).sum() / weights.sum())
        for axis in (0, 1)
    )
    return InkBox(int(top), int(left), int(bottom), int(right), (top + y, left + x))


def centred(pixels: Pixels) -> Pixels:
    """Crop the bright content and center it by mass in a dark square, as a box of 20 in 28."""
    box = ink_box(pixels)
    if box is None:
        return pixels
    ink = pixels[box.top : box.bottom, box.left : box.right]
    side = max(1, round(max(ink.shape[:2]) / DIGIT_SHARE))
    middle = (box.middle[0] - box.top, box.middle[1] - box.left)
    start = [int(np.clip(round((side - 1) / 2 - middle[axis]), 0, side - ink.shape[axis])) for axis in (0, 1)]
    square = np.zeros((side, side, pixels.shape[2]), dtype=np.uint8)
    square[start[0] : start[0] + ink.shape[0], start[1] : start[1] + ink.shape[1]] = ink
    return square


def resize(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """Resize according to the preprocessing; unchanged where the size is right."""
    if pixels.shape[:2] == target(preprocessing) and preprocessing.fit != "shorter":
        return pixels
    from PIL import Image, ImageOps

    resample = Image.Resampling[preprocessing.resample.upper()]
    height, width = preprocessing.stored
    picture = _pillow(pixels)
    if preprocessing.fit == "shorter":
        fitting = _middle(_shorter(picture, height, resample), preprocessing.side)
    elif preprocessing.fit == "crop":
        fitting = ImageOps.fit(picture, (width, height), resample)
    elif preprocessing.fit == "pad":
        fitting = ImageOps.pad(picture, (width, height), resample, color=_padding(preprocessing))
    else:
        fitting = picture.resize((width, height), resample)
    image = np.asarray(fitting)
    return image if image.ndim == 3 else image[..., None]


def target(preprocessing: Preprocessing) -> Size:
    """Return the height and width that `resize` outputs."""
    return preprocessing.side if preprocessing.fit == "shorter" else preprocessing.stored


def _pillow(pixels: Pixels) -> Pillow.Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _padding(preprocessing: Preprocessing) -> int | tuple[int, int, int]:
    value = GREYS[preprocessing.background]
    return value if preprocessing.channels == 1 else (value,) * 3


def _shorter(picture: Pillow.Image, side: int, resample: Pillow.Resampling) -> Pillow.Image:
    """Resize the shorter side to `side`; the longer one is truncated to whole pixels, as in torchvision."""
    width, height = picture.size
    if min(width, height) == side:
        return picture
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return picture.resize(size, resample)


def _middle(picture: Pillow.Image, side: Size) -> Pillow.Image:
    """Crop the center; halves are rounded to even, as in torchvision."""
    width, height = picture.size
    top, left = round((height - side[0]) / 2), round((width - side[1]) / 2)
    return picture.crop((left, top, left + side[1], top + side[0]))


SHOWN = 1_024
"""Maximum side in pixels of a displayed image."""
SCALES = {
    "unit": "divided by 255",
    "raw": "left from 0 to 255",
    "standardised": "less the training images' mean and divided by their standard deviation, by channel",
    "raw-minus-mean": "less the training images' mean",
    "unit-standardised": "divided by 255, less a mean and divided by a standard deviation, by channel",
}


@dataclass(frozen=True, eq=False)
class Step:
    """Preprocessing step: its name, its effect on this image, and the image after it.

    `picture` is uint8 `(H, W, C)` for display, with C 1 or 3 (4 where transparency is shown); it is reduced
    where a side is longer than 1,024 pixels, while `size` is the true `(H, W)`. Only the last step has
    `tensor`, float `(1, C, H, W)`: the model's input.
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


def steps(picture: Picture, preprocessing: Preprocessing) -> tuple[Step, ...]:
    """Return every preprocessing step of an image, from the file to the model's input."""
    result = [_shown(stage) for stage in _stages(picture, preprocessing)]
    pixels = _batch(stored_pixels(picture, preprocessing))
    cropped = preprocessing.centred(pixels)
    if cropped.shape[-2:] != pixels.shape[-2:] or preprocessing.crop_from is not None:
        result.append(_shown(_Stage("cropped", _cropped_text(pixels, preprocessing), _rounded(cropped))))
    tensor = preprocessing.normalised(cropped)
    text = (
        f"Pixels {SCALES[preprocessing.scale]}; values from {tensor.min():.3g} to {tensor.max():.3g}, "
        "shown stretched."
    )
    shown = _shown(_Stage("normalized", text, _stretched(tensor)))
    return (*result, Step(shown.name, shown.text, shown.picture, shown.size, tensor))


def stored_pixels(picture: Picture, preprocessing: Preprocessing) -> Pixels:
    """Return the image as training data are stored, uint8 `(C, H, W)`, for `Preprocessing.inputs`."""
    *_, last = _stages(picture, preprocessing)
    return np.array(last.pixels.transpose(2, 0, 1), order="C")


def _stages(picture: Picture, preprocessing: Preprocessing) -> Iterator[_Stage]:
    yield _Stage("original", _original_text(picture), picture.pixels)
    pixels = flattened(picture, preprocessing.background)
    if picture.pixels.shape[2] == 4:
        yield _Stage(
            "flattened",
            f"What is transparent shows {american(preprocessing.background)} from behind.",
            pixels,
        )
    turned = upright(pixels, picture.orientation) if preprocessing.oriented else pixels
    yield _Stage("oriented", _oriented_text(picture.orientation, preprocessing.oriented), turned)
    # Three equal channels are weighted to themselves: the first is taken.
    grey = picture.mode in GRAY and preprocessing.channels == 1
    pixels = turned[..., :1] if grey else in_channels(turned, preprocessing.channels)
    yield _Stage(
        "gray" if preprocessing.channels == 1 else "color",
        _channels_text(picture.mode, preprocessing.channels),
        pixels,
    )
    if preprocessing.invert:
        pixels = 255 - pixels
        yield _Stage("inverted", "Light and dark exchanged: every value is 255 less what it was.", pixels)
    if preprocessing.centre:
        pixels = centred(pixels)
        yield _Stage("centered", "Cut to what is light, its center of mass in the middle of a frame.", pixels)
    resized = resize(pixels, preprocessing)
    yield _Stage("resized", _resized_text(pixels, resized, preprocessing), resized)


def _original_text(picture: Picture) -> str:
    height, width = picture.size
    text = f"{picture.format or 'Pixels'}, {width}×{height}, Pillow's mode {picture.mode}"
    if picture.moving:
        text += ", the first of several frames"
    if picture.mode in DEEP:
        text += "; more than eight bits, scaled to eight as training data are"
    return text + "."


def _oriented_text(orientation: int, oriented: bool) -> str:
    if orientation not in TURNS:
        return "Unchanged: the file says that it is upright, or says nothing."
    if not oriented:
        return f"Left as it lies, though its camera noted that it is turned (EXIF {orientation})."
    return f"Turned upright, as its camera noted (EXIF {orientation})."


def _channels_text(mode: str, channels: int) -> str:
    if channels == 3:
        grey = mode in GRAY
        return "Unchanged: three channels." if not grey else "Gray copied into three channels."
    return "One channel: 0.299 red, 0.587 green, 0.114 blue (BT.601)."


def _resized_text(before: Pixels, after: Pixels, preprocessing: Preprocessing) -> str:
    (height, width), (rows, columns) = before.shape[:2], after.shape[:2]
    if (height, width) == (rows, columns):
        return f"Unchanged: {width}×{height} already."
    descriptions = {
        "crop": f"The middle with the proportions of {columns}×{rows} resized to that",
        "pad": f"Resized and padded to {columns}×{rows}",
        "stretch": f"Stretched to {columns}×{rows}",
        "shorter": f"The shorter side resized to {preprocessing.stored[0]}, then the middle "
        f"{columns}×{rows} cut out",
    }
    return f"{descriptions[preprocessing.fit]} ({preprocessing.resample}), from {width}×{height}."


def _cropped_text(pixels: Tensor, preprocessing: Preprocessing) -> str:
    height, width = preprocessing.side
    enlarged = preprocessing.crop_from or height
    text = f"Resized from {pixels.shape[3]}×{pixels.shape[2]} (bilinear), as in training"
    return (
        f"{text}, to {enlarged}×{enlarged}, the middle {width}×{height} cut out."
        if preprocessing.crop_from
        else f"{text}, to {width}×{height}."
    )


def _batch(image: Pixels) -> Tensor:
    import torch

    return torch.from_numpy(image)[None]


def _rounded(pixels: Tensor) -> Pixels:
    rounded: Pixels = pixels[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return rounded


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


# Input checks: differences between an image and the training images, for pages, CLI and JSON alike.

DARK, LIGHT = 80, 140
"""Mean pixel values, from 0 to 255, below and above which images are called dark and light."""
TINY = 0.25
FLAT = 8.0
"""Standard deviation of pixels below which an image is called blank."""
OFF_CENTER, SMALL, LARGE = 2.5 / 28, 15 / 28, 23 / 28
"""Limits as fractions of a side: a digit's offset from the center, its minimum and maximum length.

Of MNIST's 10,000 test images none is more than 1.08 pixels off, and all are 17 to 20 long.
"""


class Hint(NamedTuple):
    """Difference from the training images, and the preprocessing that would correct it."""

    kind: str
    """`brightness`, `blank`, `resolution`, `size` or `position`."""
    text: str
    """One or two sentences."""
    change: str = ""
    """Field of `Preprocessing` to change; empty where none helps."""


def hints(picture: Picture, preprocessing: Preprocessing, centered: bool = False) -> tuple[Hint, ...]:
    """Compare an image with the training images; mostly there are no hints.

    Brightness is compared only where `preprocessing` has the training images' mean. `centered` says that
    these were centered like MNIST's digits (`DatasetSpec.centered`), so that size and position are checked
    too.
    """
    return hints_of(stored_pixels(picture, preprocessing), picture.size, preprocessing, centered)


def hints_of(
    image: Pixels, size: Size, preprocessing: Preprocessing, centered: bool = False
) -> tuple[Hint, ...]:
    """Return the hints of an image of `size` that was stored as `image`, uint8 `(C, H, W)`."""
    mean, hints = float(image.mean()), []
    if preprocessing.mean and preprocessing.scale != "unit-standardised":
        usual = sum(preprocessing.mean) / len(preprocessing.mean)
        if (usual < DARK and mean > LIGHT) or (usual > LIGHT and mean < DARK):
            tone, typical = ("light", "dark") if mean > LIGHT else ("dark", "light")
            change = "leave 'invert' off" if preprocessing.invert else "try 'invert'"
            text = (
                f"This image is mostly {tone} (mean {mean:.0f}), and training images are mostly {typical} "
                f"(mean {usual:.0f}): {change}."
            )
            hints.append(Hint("brightness", text, "" if preprocessing.invert else "invert"))
    blank = bool(image.std() < FLAT)
    if blank:
        hints.append(Hint("blank", "There is next to nothing in what the model is shown of this image."))
    height, width = size
    if min(height, width) < TINY * min(preprocessing.stored):
        text = f"This image has {width}×{height} pixels and is enlarged: what comes in is a blur."
        hints.append(Hint("resolution", text))
    if centered and not hints and not preprocessing.centre:
        hints += _placed(image)
    return tuple(hints)


def grouped(hints: Iterable[tuple[str, tuple[Hint, ...]]]) -> list[tuple[Hint, int, str]]:
    """Count hints by kind, most frequent first: the first hint of a kind, the count, the first image's name.

    `hints` contains the name of each image and its hints.
    """
    kinds: dict[str, tuple[Hint, int, str]] = {}
    for name, image_hints in hints:
        for hint in image_hints:
            first, count, image_name = kinds.get(hint.kind, (hint, 0, name))
            kinds[hint.kind] = (first, count + 1, image_name)
    return sorted(kinds.values(), key=lambda group: -group[1])


def _placed(image: Pixels) -> list[Hint]:
    """Compare the size and position of the bright content with MNIST's."""
    pixels = image.transpose(1, 2, 0)
    box = ink_box(pixels)
    if box is None:
        return []
    height, width = pixels.shape[:2]
    side = max(height, width)
    length = max(box.bottom - box.top, box.right - box.left)
    usual = round(DIGIT_SHARE * side)
    if not SMALL <= length / side <= LARGE:
        text = (
            f"What is drawn is {length} of {side} pixels long, and in the training images {usual}: "
            "try 'center', which cuts it out and brings it to that size."
        )
        return [Hint("size", text, "centre")]
    offset = np.array(box.middle) - [(height - 1) / 2, (width - 1) / 2]
    if np.abs(offset).max() > OFF_CENTER * side:
        text = (
            f"What is drawn lies {np.abs(offset).max():.0f} of {side} pixels off the middle, where the "
            "training images have it: try 'center'."
        )
        return [Hint("position", text, "centre")]
    return []
