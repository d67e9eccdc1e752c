"""One picture: what it is by its content, and its pixels. The only place where foreign images are decoded."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets.spec import DataError, Pixels

if TYPE_CHECKING:
    from PIL import Image as Pillow

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
"""Decoders that are tried. TIFF and the like are left out: many rarely tried code paths for little use."""
ACCEPTED = "PNG, JPEG, WebP, BMP, GIF and PPM are read"
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000
GREY = frozenset(("1", "L", "LA", "I", "I;16", "I;16B"))
DEEP = frozenset(("I", "I;16", "I;16B"))
_ORIENTATION = 0x0112
_TURNED = frozenset((5, 6, 7, 8))
"""Exif orientations with height and width exchanged."""


class Header(NamedTuple):
    """What is known without decoding."""

    height: int
    width: int
    colour: bool


def header(data: bytes, name: str) -> Header:
    """Look at the beginning of an encoded picture called `name`.

    Raises `DataError` for what is no picture, of a format that is not read, or too large.
    """
    with _opened(data, name) as picture:
        width, height = picture.size
        if _orientation(picture) in _TURNED:
            width, height = height, width
        grey = picture.mode in GREY or (picture.mode == "P" and _grey_palette(picture))
    return Header(height, width, not grey)


def decode(data: bytes, name: object, size: tuple[int, int], colour: bool) -> Pixels:
    """An encoded picture as uint8 `(C, H, W)` of `size` (H, W); C is 3 for `colour` and else 1.

    It stands upright as Exif says; what is transparent is white; of several frames, the first. Of another
    size, the middle with the wanted proportions is resized, bilinear with antialiasing. Raises
    `DataError` for damage; `name` is turned into text only then.
    """
    from PIL import Image, ImageOps

    height, width = size
    with _opened(data, name) as picture:
        try:
            if min(picture.size) > 2 * max(size):
                # A JPEG decoder can skip what would be thrown away; twice the size is enough to resize from.
                picture.draft(None, (2 * max(size), 2 * max(size)))
            upright = picture if _orientation(picture) == 1 else ImageOps.exif_transpose(picture)
            plain = _plain(upright, "RGB" if colour else "L")
            if plain.size != (width, height):
                plain = ImageOps.fit(plain, (width, height), Image.Resampling.BILINEAR)
        except Exception as error:
            # A decoder may raise anything over hostile or damaged bytes.
            raise DataError(
                f"'{name}' is damaged ({_reason(error)}); replace it or take it out of the data."
            ) from error
    pixels = np.asarray(plain)
    return pixels.transpose(2, 0, 1) if colour else pixels[None]


def _opened(data: bytes, name: object) -> Pillow.Image:
    from PIL import Image

    if len(data) > MAX_BYTES:
        raise DataError(
            f"'{name}' has {len(data) / 1e6:,.0f} MB; a picture has at most {MAX_BYTES >> 20} MiB."
        )
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(_too_large(name)) from None
    except Exception:
        raise DataError(
            f"'{name}' is not a picture that can be read ({ACCEPTED}); replace it or take it out of the data."
        ) from None
    if picture.size[0] * picture.size[1] > MAX_PIXELS:
        raise DataError(_too_large(name))
    return picture


def _too_large(name: object) -> str:
    return f"'{name}' has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller or take it out."


def _orientation(picture: Pillow.Image) -> int:
    # Others hold none, or only after all of the file has been read.
    if picture.format not in ("JPEG", "WEBP"):
        return 1
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:
        # A damaged note about the picture is no reason to refuse the picture.
        return 1
    return value if isinstance(value, int) else 1


def _grey_palette(picture: Pillow.Image) -> bool:
    colours = np.asarray(picture.getpalette("RGB") or [0, 0, 1]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _plain(picture: Pillow.Image, mode: str) -> Pillow.Image:
    """Without palette, transparency and more than eight bits."""
    from PIL import Image

    if picture.mode in DEEP:
        values = np.asarray(picture).astype(np.int64) >> 8
        plain = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    elif picture.has_transparency_data:
        clear = picture.convert("RGBA")
        plain = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    else:
        plain = picture
    return plain.convert(mode)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
