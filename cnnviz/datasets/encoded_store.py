"""Encoded store: a source's encoded images in one file, read once, validated, hashed, and decoded.

Folders, zips and tables differ only before this step.
"""

from __future__ import annotations

import errno
import hashlib
import io
import mmap
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from cnnviz.datasets.image_files import ACCEPTED, FORMATS, GRAY, TURNED, named_as_picture, orientation, plain
from cnnviz.datasets.spec import DataError, Labels, Pixels, Progress, Step
from cnnviz.models.layers.base import MAX_CLASSES
from cnnviz.paths import home

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


# Fingerprint of a data set: a hash of its source bytes and labels, in order.


def digest(data: bytes) -> bytes:
    """Compute the SHA-256 of one encoded image."""
    return hashlib.sha256(data).digest()


def digests(images: Pixels) -> list[bytes]:
    """Compute the SHA-256 of each image `(N, C, H, W)`, for sources that contain pixels instead of files."""
    return [digest(np.ascontiguousarray(image).tobytes()) for image in images]


def fingerprint(parts: Sequence[tuple[str, Sequence[bytes], Labels]]) -> str:
    """Hash the parts of a data set: name, image digests and labels, in order.

    Each image is hashed separately, so that a split in another order needs no second reading. Neither the
    storage (folder, zip, Parquet) nor the class names are included.
    """
    whole = hashlib.sha256()
    for name, pictures, labels in parts:
        whole.update(f"{name}:{len(pictures)}\n".encode())
        whole.update(b"".join(pictures))
        whole.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return whole.hexdigest()


# Errors of a disk that is full or not writable.

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVE_BYTES = 32 << 20
"""Free space that data sets leave on a disk for other writers, above all the run database."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Convert errors of a full or unwritable disk to `DataError`, with a hint."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DataError(
                f"The disk that holds '{home()}' is full; make room, or set CNNVIZ_HOME to one on another."
            ) from error
        if error.errno in FORBIDDEN and str(error.filename).startswith(str(home())):
            raise DataError(
                f"'{error.filename}' cannot be written ({error.strerror}); set CNNVIZ_HOME to a folder "
                "that can."
            ) from error
        raise


def require_space(path: Path, needed: int) -> None:
    """Raise `DataError` unless the disk has `needed` bytes free besides `RESERVE_BYTES`."""
    free = shutil.disk_usage(path).free
    if free < needed + RESERVE_BYTES:
        raise DataError(
            f"{megabytes(needed)} are needed in '{path.parent}' beside {megabytes(RESERVE_BYTES)} that stay "
            f"free for the rest of the system, and {megabytes(free)} are free; make room, or set CNNVIZ_HOME "
            "to a folder on another disk."
        )


def megabytes(count: int) -> str:
    """Format bytes for a sentence: `34 MB`, and `0.3 MB` below 10 MB."""
    value = count / 1e6
    return f"{value:,.0f} MB" if value >= 10 or value == 0 else f"{value:.1g} MB"


# Encoded images of a source, concatenated in one file, for random access.

MAX_PICTURES = 5_000_000
CHECK_EVERY = 64 << 20
"""Bytes between two checks of the free space."""
REPORT_PICTURES, REPORT_BYTES = 256, 4 << 20
"""Images or bytes between two progress reports: some hundredths of a second of work."""


class Encoded(NamedTuple):
    """Encoded image of a source."""

    name: str
    """Name for messages: a path, or a table's row."""
    data: bytes
    label: int


@dataclass(frozen=True)
class Source:
    """Class names and images of a folder, a zip or a table, by part and in order."""

    title: str
    classes: tuple[str, ...]
    parts: Mapping[str, Iterable[Encoded]]
    """Images of `train` and optionally `test`."""
    count: int | None
    """Total number of images, for progress; None where it is not known in advance."""
    notes: tuple[str, ...] = ()
    mixed: bool = False
    """Whether other files may be among the images.

    They are skipped, unless their names are those of images.
    """


@dataclass(frozen=True)
class Packed:
    """All images of a source, in order."""

    path: Path
    spans: Labels
    """Begin and end of each image, in bytes, int64 `(N, 2)`."""
    labels: Labels
    names: list[str]
    digests: list[bytes]
    pixels: Labels
    """Height times width of each image, int64 `(N,)`: the cost of decoding it."""
    headers: Labels
    """Distinct `(height, width, color)` with their counts, int64 `(kinds, 4)`."""
    parts: dict[str, slice]
    classes: tuple[str, ...] = ()
    """Classes of the source that have images."""
    notes: tuple[str, ...] = ()
    """Sentences on skipped files."""


class Blob:
    """Thread-safe random access to the file of encoded images."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes of one image."""
        return self._map[begin:end]


def pack(source: Source, path: Path, progress: Progress) -> Packed:
    """Write all images of `source` to `path`, concatenated.

    Raises:
        DataError: For an image that cannot be read or whose label is no class (named in the message), a part
            without images, fewer than two classes, or lack of space.
    """
    if not 2 <= len(source.classes) <= MAX_CLASSES:
        raise DataError(_too_few(source.title, len(source.classes)))
    ends, labels = [0], list[int]()
    names, digests, pixels = list[str](), list[bytes](), list[int]()
    kinds: dict[Header, int] = {}
    parts: dict[str, slice] = {}
    space_checked, bytes_read, reported = 0, 0, (-REPORT_PICTURES, 0)
    skipped = list[str]()
    with path.open("wb") as file:
        for part, pictures in source.parts.items():
            first = len(labels)
            for name, data, label in pictures:
                count = len(labels) + len(skipped)
                if count - reported[0] >= REPORT_PICTURES or bytes_read - reported[1] >= REPORT_BYTES:
                    progress(Step("reading", count, source.count))
                    reported = count, bytes_read
                bytes_read += len(data)
                _check_label(name, label, source.classes)
                try:
                    image_header = header(data, name)
                except NotAPictureError:
                    if not source.mixed or named_as_picture(name):
                        raise
                    skipped.append(name)
                    continue
                kinds[image_header] = kinds.get(image_header, 0) + 1
                if ends[-1] + len(data) > space_checked:
                    require_space(path, CHECK_EVERY)
                    space_checked += CHECK_EVERY
                file.write(data)
                ends.append(ends[-1] + len(data))
                labels.append(label)
                names.append(name)
                digests.append(digest(data))
                pixels.append(image_header.height * image_header.width)
                if len(labels) > MAX_PICTURES:
                    raise DataError(f"'{source.title}' has more than {MAX_PICTURES:,} images; take a part.")
            parts[part] = slice(first, len(labels))
            if first == len(labels):
                raise DataError(f"The {part} part of '{source.title}' has no images; put some there.")
    progress(Step("reading", len(labels), len(labels)))
    bounds = np.array(ends, dtype=np.int64)
    numbers, classes = _without_empty(source, np.array(labels, dtype=np.int64), bool(skipped))
    return Packed(
        path=path,
        spans=np.stack([bounds[:-1], bounds[1:]], axis=1),
        labels=numbers,
        names=names,
        digests=digests,
        pixels=np.array(pixels, dtype=np.int64),
        headers=np.array([(*image_header, count) for image_header, count in kinds.items()], dtype=np.int64),
        parts=parts,
        classes=classes,
        notes=(_skipped_note(skipped),) if skipped else (),
    )


def _without_empty(source: Source, labels: Labels, any_skipped: bool) -> tuple[Labels, tuple[str, ...]]:
    """Remove the classes of folders that contained only other files."""
    if not any_skipped:
        return labels, source.classes
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(_too_few(source.title, len(classes)))
    return numbers.astype(np.int64), tuple(source.classes[number] for number in classes)


def _skipped_note(names: list[str]) -> str:
    count = len(names)
    files = "1 file that is no image was" if count == 1 else f"{count:,} files that are no images were"
    return f"{files} passed over ({'' if count == 1 else 'the first: '}'{names[0][-80:]}')."


def _too_few(title: str, count: int) -> str:
    return (
        f"'{title}' has {count:,} class{'' if count == 1 else 'es'}; from 2 to {MAX_CLASSES:,} are needed: "
        "one folder of images for each."
    )


def _check_label(name: str, label: int, classes: tuple[str, ...]) -> None:
    if not 0 <= label < len(classes):
        hint = "a part without labels cannot be used; leave it out" if label == -1 else "correct it"
        raise DataError(f"{name} has label {label}, but labels go from 0 to {len(classes) - 1}; {hint}.")
