"""Decoding of a data set's images by their content, in parallel threads."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from cnnviz.datasets.image_files import ACCEPTED, FORMATS, GRAY, TURNED, orientation, plain
from cnnviz.datasets.spec import DataError, Pixels

if TYPE_CHECKING:
    from PIL import Image as Pillow

# Header and pixels of one image, decoded by the rules of `image_files`.

MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000


class NotAPictureError(DataError):
    """Error for a file that should be an image and cannot be read as one."""


class Header(NamedTuple):
    """Properties known without decoding."""

    height: int
    width: int
    colour: bool


def header(data: bytes, name: str) -> Header:
    """Read the header of an encoded image called `name`.

    Raises:
        DataError: For a file that is no image, of an unsupported format, or too large.
    """
    with _opened(data, name) as picture:
        width, height = picture.size
        if orientation(picture, data) in TURNED:
            width, height = height, width
        grey = picture.mode in GRAY or (picture.mode == "P" and _grey_palette(picture))
    return Header(height, width, not grey)


def decode(data: bytes, name: object, size: tuple[int, int], colour: bool) -> Pixels:
    """Decode an image as uint8 `(C, H, W)` of `size` (H, W); C is 3 with `colour`, otherwise 1.

    Exif orientation is applied, transparency becomes white, and of several frames the first is used. For
    another size, the center is cropped to the aspect ratio and resized bilinearly with antialiasing.

    Raises:
        DataError: For a damaged image; `name` is converted to text only then.
    """
    from PIL import Image, ImageOps

    height, width = size
    with _opened(data, name) as picture:
        try:
            if min(picture.size) > 2 * max(size):
                # A JPEG decoder can decode at a reduced scale; twice the target size suffices for resizing.
                picture.draft(None, (2 * max(size), 2 * max(size)))
            upright = picture if orientation(picture, data) == 1 else ImageOps.exif_transpose(picture)
            image = _on_white(plain(upright)).convert("RGB" if colour else "L")
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        except Exception as error:
            # A decoder may raise anything for hostile or damaged bytes.
            raise DataError(
                f"'{name}' is damaged ({_reason(error)}); replace it or take it out of the data."
            ) from error
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if colour else pixels[None]


def _opened(data: bytes, name: object) -> Pillow.Image:
    from PIL import Image

    if len(data) > MAX_BYTES:
        raise DataError(
            f"'{name}' has {len(data) / 1e6:,.0f} MB; an image has at most {MAX_BYTES >> 20} MiB."
        )
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(_too_large(name)) from None
    except Exception:
        raise NotAPictureError(
            f"'{name}' is not an image that can be read ({ACCEPTED}); replace it or take it out of the data."
        ) from None
    if picture.size[0] * picture.size[1] > MAX_PIXELS:
        raise DataError(_too_large(name))
    return picture


def _too_large(name: object) -> str:
    return f"'{name}' has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller or take it out."


def _grey_palette(picture: Pillow.Image) -> bool:
    colours = np.asarray(picture.getpalette("RGB") or [0, 0, 1]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _on_white(picture: Pillow.Image) -> Pillow.Image:
    """Composite the image on white."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


# Parallel decoding in threads: Pillow's decoders release the GIL.

Job = TypeVar("Job")
Result = TypeVar("Result")
MAX_WORKERS = 16


def workers() -> int:
    """Return the number of threads to use."""
    return min(MAX_WORKERS, os.cpu_count() or 1)


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], threads: int | None = None
) -> Generator[Result, None, None]:
    """Yield `work(job)` for each job, in order, with at most two jobs per thread finished or in progress.

    Jobs start on demand, so memory stays bounded with a slow consumer. An exception of `work` is raised in
    its turn. Closing the iterator cancels the pending jobs.
    """
    count = threads or workers()
    ahead: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="decode")
    try:
        for job in jobs:
            ahead.append(pool.submit(work, job))
            if len(ahead) >= 2 * count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
