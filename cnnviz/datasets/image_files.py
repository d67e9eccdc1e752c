"""Image files: which formats are read, and how any of their modes becomes eight bits a channel.

Training data and pictures to predict go through these functions, so that one file has one reading. Nothing
is imported: the decoder's child process loads this file by its path and must start in a fraction of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Decoders that are tried: an allow-list, as each is code that meets foreign bytes."""
ACCEPTED = "PNG, JPEG, WebP, BMP, GIF, TIFF and PPM are read"
SUFFIXES = frozenset((
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "ppm", "pgm",
    "pbm", "pnm", "pfm", "heic", "heif", "avif", "jp2", "jxl", "svg", "psd", "dng", "cr2", "nef", "ico",
))  # fmt: skip
"""How names of pictures end, of formats that are not read too: a file so called is not passed over."""
READING = 2
"""Raised when a file comes out as other pixels than before, so that cached data are made again."""
GRAY = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
DEEP = frozenset(("I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
"""Modes of more than eight bits, all of them gray."""
ORIENTATION = 0x0112
TURNED = frozenset((5, 6, 7, 8))
"""Exif orientations with height and width exchanged."""
_NOTES = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
"""What a PNG has in it where it may say that it is turned."""


def named_as_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return name.rsplit(".", 1)[-1].lower() in SUFFIXES


def orientation(picture: Image.Image, data: bytes) -> int:
    """Find Exif's orientation of a picture whose file is `data`: 1 (upright) to 8; 1 if its note is damaged.

    Pillow turns TIFF upright by itself when it is loaded, and states the turned size before.
    """
    if picture.format == "TIFF" or (picture.format == "PNG" and not any(note in data for note in _NOTES)):
        # Asked for its notes, Pillow decodes a whole PNG, as they may lie at its end.
        return 1
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:
        # A damaged note about the picture is no reason to refuse the picture.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def plain(picture: Image.Image) -> Image.Image:
    """Convert to eight bits a channel: RGB, or RGBA where something is transparent; the first frame."""
    picture = scaled(picture) if picture.mode in DEEP else picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def scaled(picture: Image.Image) -> Image.Image:
    """Scale a gray picture of more than eight bits to eight: its whole range, nothing is cut off.

    16 bits are divided by 256. Of 32 bits, whole numbers up to 65,535 are taken for 16 bits, others for 31.
    Floating-point numbers are taken for shares of 1, of 255, of 65,535 or of their own largest value: of the
    first of these that holds them all. What is negative is black.
    """
    if picture.mode == "F":
        high = _highest(picture)
        range_max = next((range_max for range_max in (1.0, 255.0, 65_535.0) if high <= range_max), high)
        return picture.point(lambda value: value * (255 / range_max)).convert("L")
    whole = picture.convert("I")
    is_wide = picture.mode == "I" and _highest(whole) > 65_535
    step = 1 / (1 << 23) if is_wide else 1 / 256
    return whole.point(lambda value: value * step).convert("L")


def _highest(picture: Image.Image) -> float:
    _, high = picture.getextrema()
    return float(high) if isinstance(high, int | float) else 0.0
