"""Image reader: detects the file type, decodes in a child process, or refuses in one sentence.

Folders and zips are expanded to their image files; class folders give the true classes.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from cnnviz.datasets import DataError
from cnnviz.datasets.class_folders import Archive, arrange_files, listing
from cnnviz.datasets.image_files import ACCEPTED
from cnnviz.inference.images.decoder import MAX_PIXELS, SHARED, Decoded, Decoder, DecoderPool, Pixels

# File types by magic bytes, for messages about files that are no images or weights.

KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (0, b"GGUF", "a GGUF file"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (4, b"ftypheic", "a HEIC photograph"),
    (4, b"ftypheix", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIF photograph"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"SQLite format 3", "a database"),
    (0, b"\x89PNG", "a damaged PNG"),
    (0, b"\xff\xd8\xff", "a damaged JPEG"),
    (0, b"GIF8", "a damaged GIF"),
    (0, b"II*\x00", "a damaged TIFF"),
    (0, b"MM\x00*", "a damaged TIFF"),
    (8, b"WEBP", "a damaged WebP"),
)
START = 4_096


def kind(data: bytes) -> str:
    """Describe the type of the content, such as `a PDF document`; empty where it is unknown."""
    start = data[:START]
    if not start:
        return "an empty file"
    for offset, magic, name in KINDS:
        if start[offset : offset + len(magic)] == magic:
            return name
    return _text_kind(start)


def _text_kind(start: bytes) -> str:
    try:
        text = start.decode("utf-8", errors="strict" if len(start) < START else "ignore").lstrip(
            "\ufeff \r\n\t"
        )
    except UnicodeDecodeError:
        return ""
    if not text.isprintable() and any(ord(c) < 9 for c in text):
        return ""
    if text[:1] == "<":
        return "an SVG drawing" if "<svg" in text.lower() else "an HTML or XML page"
    return "a text file"


# Decoded image: its pixels as stored in the file, and its metadata.


@dataclass(frozen=True, eq=False)
class Picture:
    """Decoded image: pixels uint8 `(H, W, 3)`, or `(H, W, 4)` with alpha, before its orientation is applied.

    Without alpha they equal Pillow's `convert("RGB")`, after scaling of more than eight bits to eight.
    """

    name: str
    pixels: Pixels
    format: str = ""
    """Format in Pillow's terms; empty for an image that was no file."""
    mode: str = "RGB"
    """Pillow's mode of the file."""
    orientation: int = 1
    """Exif orientation, from 1 (upright) to 8."""
    moving: bool = False
    """Whether there are more frames than the first."""
    truth: str | None = None
    """True class, where it is known."""

    @classmethod
    def of_data(cls, name: str, image: Pixels, truth: str | None = None) -> Picture:
        """Convert an image of a data set, uint8 `(C, H, W)` with one or three channels."""
        colour = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
        return cls(
            name, np.ascontiguousarray(colour), mode="RGB" if image.shape[0] == 3 else "L", truth=truth
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, before the orientation is applied."""
        height, width = self.pixels.shape[:2]
        return height, width


@dataclass(frozen=True)
class Refusal:
    """File that could not be read, and the reason in one sentence."""

    name: str
    reason: str
    truth: str | None = None


MAX_BYTES = 20 << 20
AHEAD = 8
"""Files whose bytes are in memory at once."""
SHORT = 80
"""Maximum characters of a file name in a message."""


@dataclass(frozen=True)
class Upload:
    """File with its name, its bytes or a function that reads them, and its true class where known."""

    name: str
    data: bytes | Callable[[], bytes]
    """A function is called on demand, and may raise `DataError` or `OSError`."""
    truth: str | None = None
    size: int | None = None
    """Number of bytes, where it is known before reading."""


def read(upload: Upload, decoder: Decoder | DecoderPool = SHARED) -> Picture | Refusal:
    """Read an image, identified by its content rather than its name, or return the reason why not."""
    (image,) = read_all([upload], decoder)
    return image


def read_all(
    uploads: Iterable[Upload | Picture | Refusal], decoder: Decoder | DecoderPool = SHARED
) -> Iterator[Picture | Refusal]:
    """Read files in order; what is read already is returned as it is.

    `AHEAD` files are read at once, and decoded in groups; images are not retained.
    """
    waiting = iter(uploads)
    while part := list(islice(waiting, AHEAD)):
        contents = [_content(upload) if isinstance(upload, Upload) else upload for upload in part]
        undecoded = [content for content in contents if isinstance(content, bytes)]
        decoded: deque[Decoded] = deque()
        for upload, content in zip(part, contents, strict=True):
            if isinstance(upload, Upload) and isinstance(content, bytes):
                if not decoded:
                    decoded += decoder.decode_group(undecoded)
                    del undecoded[: len(decoded)]
                yield _image(upload, content, decoded.popleft())
            elif not isinstance(content, bytes):
                yield content


def _content(upload: Upload) -> bytes | Refusal:
    """Return the bytes of a file of acceptable size, or the reason why not."""
    if upload.size is not None and upload.size > MAX_BYTES:
        return _refused(upload, _too_many_bytes(upload.size))
    try:
        data = upload.data if isinstance(upload.data, bytes) else upload.data()
    except DataError as error:
        return Refusal(upload.name, str(error), upload.truth)
    except OSError as error:
        return _refused(upload, f"cannot be read: {error.strerror or error}")
    if len(data) > MAX_BYTES:
        return _refused(upload, _too_many_bytes(len(data)))
    return data or _refused(upload, f"is empty; {ACCEPTED}")


def _image(upload: Upload, data: bytes, decoded: Decoded) -> Picture | Refusal:
    facts = decoded.facts
    if decoded.pixels is None:
        return _refused(upload, _reason(facts, data))
    return Picture(
        upload.name,
        decoded.pixels,
        format=facts["format"],
        mode=facts["mode"],
        orientation=facts["orientation"],
        moving=facts["moving"],
        truth=upload.truth,
    )


def _refused(upload: Upload, problem: str) -> Refusal:
    name = upload.name if len(upload.name) <= SHORT else f"{upload.name[:SHORT]}…"
    return Refusal(upload.name, f"'{name}' {problem}.", upload.truth)


def _too_many_bytes(count: int) -> str:
    return f"has {count / 1e6:,.0f} MB; an image has at most {MAX_BYTES >> 20} MiB"


def _reason(facts: dict[str, object], data: bytes) -> str:
    limit = f"at most {MAX_PIXELS // 1_000_000} million pixels"
    reasons = {
        "pixels": f"is too large; an image has {limit}",
        "memory": f"takes too much memory to decode; an image has {limit}",
        "time": "takes too long to decode; save it again as PNG or JPEG",
        "crashed": "made the decoder fail; save it again as PNG or JPEG",
    }
    refused = str(facts["refused"])
    if refused == "unknown":
        kind_name = kind(data)
        return f"is {kind_name or 'no image that is known here'}; {ACCEPTED}"
    if refused == "damaged":
        reason = str(facts["reason"]).rstrip(".")
        return f"is damaged ({reason or 'its data make no sense'}); save it again or take another"
    return reasons[refused]


UploadOrRefusal = Upload | Refusal


def from_upload(name: str, data: bytes) -> list[UploadOrRefusal]:
    """Return the images of an upload: a single one, or a zip of images or of class folders."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return [Upload(name, data)]
    return _or_refusal(name, functools.partial(from_zip, name, io.BytesIO(data)))


def from_uploaded_folder(files: Mapping[str, bytes]) -> list[UploadOrRefusal]:
    """Return the images of an uploaded folder, given by relative path, with the classes of class folders."""
    top = {name.partition("/")[0] for name in files}
    start = len(f"{min(top)}/") if len(top) == 1 else 0
    names = {name[start:] or name: name for name in files}
    return [
        Upload(names[name], files[names[name]], truth) for name, truth in _with_truth("the folder", names)
    ]


def from_paths(paths: Iterable[Path]) -> Iterator[UploadOrRefusal]:
    """Yield the images of files, folders and zips; missing ones are refused."""
    for path in paths:
        yield from _or_refusal(str(path), functools.partial(_from_path, path))


def from_folder(root: Path) -> list[Upload]:
    """Return every file below a folder, without hidden ones.

    Raise `DataError` for links and too many files.
    """
    sizes = {name: size for name, size, _ in listing(root)}
    return [
        Upload(str(root / name), functools.partial(_read, root / name), truth, sizes[name])
        for name, truth in _with_truth(str(root), sizes)
    ]


def from_zip(name: str, file: Path | IO[bytes]) -> list[Upload]:
    """Return every file in a zip, read on demand; raise `DataError` as `Archive`."""
    archive = Archive(name, file)
    return [
        Upload(
            f"{name}/{archive.prefix}{member}",
            functools.partial(archive.read, member),
            truth,
            archive.size(member),
        )
        for member, truth in _with_truth(name, archive.names)
    ]


def _from_path(path: Path) -> list[Upload]:
    if path.is_dir():
        return from_folder(path)
    if not path.is_file():
        raise DataError(f"There is no file '{path}'.")
    if zipfile.is_zipfile(path):
        return from_zip(str(path), path)
    return [Upload(str(path), functools.partial(_read, path), size=path.stat().st_size)]


def _with_truth(where: str, names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Return every name with its class, where they are in class folders, of training and test parts."""
    known = sorted(names)
    try:
        layout = arrange_files(where, known)
    except DataError:
        return [(name, None) for name in known]
    return [(name, layout.classes[label]) for files in layout.parts.values() for name, label in files]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _or_refusal(name: str, find: Callable[[], list[Upload]]) -> list[UploadOrRefusal]:
    try:
        return [*find()] or [Refusal(name, f"'{name}' holds no files.")]
    except DataError as error:
        return [Refusal(name, str(error))]
    except OSError as error:
        return [Refusal(name, f"'{name}' cannot be read: {error.strerror or error}.")]
