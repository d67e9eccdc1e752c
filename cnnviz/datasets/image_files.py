"""Image files: supported formats, and conversion of all modes to eight bits per channel.

Training data and uploaded images are read by the same functions. This module imports nothing: the decoder's
child process loads it by path and must start in a fraction of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Allowed decoders; each is code that processes untrusted bytes."""
ACCEPTED = "PNG, JPEG, WebP, BMP, GIF, TIFF and PPM are read"
SUFFIXES = frozenset((
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "ppm", "pgm",
    "pbm", "pnm", "pfm", "heic", "heif", "avif", "jp2", "jxl", "svg", "psd", "dng", "cr2", "nef", "ico",
))  # fmt: skip
"""Extensions of images, including unsupported formats, which are reported instead of skipped."""
READING = 2
"""Version of the decoding, raised when a file yields other pixels, which invalidates cached data."""
GRAY = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
DEEP = frozenset(("I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
"""Modes with more than eight bits, all of them grayscale."""
ORIENTATION = 0x0112
TURNED = frozenset((5, 6, 7, 8))
"""Exif orientations that exchange height and width."""
_NOTES = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Markers of PNG chunks that can contain an orientation."""


def named_as_picture(name: str) -> bool:
    """Return whether a file has an image's extension."""
    return name.rsplit(".", 1)[-1].lower() in SUFFIXES


def orientation(picture: Image.Image, data: bytes) -> int:
    """Return the Exif orientation of an image whose file is `data`: 1 (upright) to 8; 1 where damaged.

    Pillow applies the orientation of TIFF files itself, and reports the final size in advance.
    """
    if picture.format == "TIFF" or (picture.format == "PNG" and not any(note in data for note in _NOTES)):
        # To read its metadata, Pillow decodes a whole PNG, since it may be at the end.
        return 1
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:
        # Damaged metadata is no reason to refuse the image.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def plain(picture: Image.Image) -> Image.Image:
    """Convert the first frame to eight bits per channel: RGB, or RGBA where something is transparent."""
    picture = scaled(picture) if picture.mode in DEEP else picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def scaled(picture: Image.Image) -> Image.Image:
    """Scale a grayscale image of more than eight bits to eight bits, over its whole range without clipping.

    16 bits are divided by 256. Of 32-bit integers, values up to 65,535 are treated as 16 bits, others as 31.
    Floating-point values are relative to 1, 255, 65,535 or their own maximum: the first of these that covers
    them all. Negative values become black.
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
