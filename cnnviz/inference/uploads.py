"""Files that were handed in: each a picture, or refused in a sentence while the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cnnviz.datasets import DataError
from cnnviz.datasets.image_files import ACCEPTED
from cnnviz.inference.decoding import MOST_PIXELS, SHARED, Decoder
from cnnviz.inference.kinds import kind
from cnnviz.inference.picture import Picture, Refusal

MOST_BYTES = 20 << 20
SHORT = 80
"""Characters of a name that a message repeats."""


@dataclass(frozen=True)
class Upload:
    """A file: its name, its bytes or how to get them, and its true class where that is known."""

    name: str
    data: bytes | Callable[[], bytes]
    """A function is called when the file's turn comes, and may raise `DataError` or `OSError`."""
    truth: str | None = None
    size: int | None = None
    """Bytes, where that is known before they are read."""


def read(upload: Upload, decoder: Decoder = SHARED) -> Picture | Refusal:
    """The picture, told by its content whatever it is called, or a sentence that says why not."""
    if upload.size is not None and upload.size > MOST_BYTES:
        return _refused(upload, _too_many_bytes(upload.size))
    try:
        data = upload.data if isinstance(upload.data, bytes) else upload.data()
    except DataError as error:
        return Refusal(upload.name, str(error), upload.truth)
    except OSError as error:
        return _refused(upload, f"cannot be read: {error.strerror or error}")
    if len(data) > MOST_BYTES:
        return _refused(upload, _too_many_bytes(len(data)))
    if not data:
        return _refused(upload, f"is empty; {ACCEPTED}")
    found = decoder.decode(data)
    if found.pixels is None:
        return _refused(upload, _reason(found.facts, data))
    facts = found.facts
    return Picture(
        upload.name,
        found.pixels,
        format=facts["format"],
        mode=facts["mode"],
        orientation=facts["orientation"],
        moving=facts["moving"],
        truth=upload.truth,
    )


def read_all(uploads: Iterable[Upload | Refusal], decoder: Decoder = SHARED) -> Iterator[Picture | Refusal]:
    """`read` one after another, in order; decoded pictures are not kept."""
    for upload in uploads:
        yield upload if isinstance(upload, Refusal) else read(upload, decoder)


def _refused(upload: Upload, why: str) -> Refusal:
    name = upload.name if len(upload.name) <= SHORT else f"{upload.name[:SHORT]}…"
    return Refusal(upload.name, f"'{name}' {why}.", upload.truth)


def _too_many_bytes(count: int) -> str:
    return f"has {count / 1e6:,.0f} MB; a picture has at most {MOST_BYTES >> 20} MiB"


def _reason(facts: dict[str, object], data: bytes) -> str:
    most = f"at most {MOST_PIXELS // 1_000_000} million pixels"
    reasons = {
        "pixels": f"is too large; a picture has {most}",
        "memory": f"takes too much memory to decode; a picture has {most}",
        "time": "takes too long to decode; save it again as PNG or JPEG",
        "crashed": "made the decoder fail; save it again as PNG or JPEG",
    }
    refused = str(facts["refused"])
    if refused == "unknown":
        what = kind(data)
        return f"is {what or 'no picture that is known here'}; {ACCEPTED}"
    if refused == "damaged":
        reason = str(facts["reason"]).rstrip(".")
        return f"is damaged ({reason or 'its data make no sense'}); save it again or take another"
    return reasons[refused]
