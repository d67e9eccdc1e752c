"""A document as a short text that fits into a link, and back.

The text is the document deflated (RFC 1950), in the URL-safe alphabet of RFC 4648 without padding.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from cnnviz.models.layer_list_edit import compact
from cnnviz.models.layers import LayerList

MAX_TEXT = 48_000
"""The most characters of a link's text: browsers and servers take addresses up to 64 kB."""
MAX_BYTES = 1_000_000
"""The most bytes of a document, unpacked."""


def packed(document: str) -> str | None:
    """The document as text for a link; None where it is too long for one."""
    text = base64.urlsafe_b64encode(zlib.compress(document.encode(), 9)).decode().rstrip("=")
    return text if len(text) <= MAX_TEXT else None


def unpacked(text: str, article: str, noun: str) -> bytes:
    """The document that a link holds, called by its noun where a `ValueError` says what is wrong with it."""
    if len(text) > MAX_TEXT:
        raise ValueError(
            f"{article} {noun} in a link has at most {MAX_TEXT:,} characters; this has {len(text):,}."
        )
    try:
        deflated = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        document = unpacker.decompress(deflated, MAX_BYTES)
    except (binascii.Error, zlib.error, ValueError):
        raise ValueError(
            f"The {noun} in the link is damaged, perhaps cut short when it was copied."
        ) from None
    if not unpacker.eof:
        raise ValueError(f"The {noun} in the link is cut short or too large.")
    return document


# A layer list as a short text that fits into a link, and back; and one from a file that was handed in.


def encode(document: LayerList) -> str:
    """The list as text for a link; raises `ValueError` where it is too long for one."""
    text = packed(compact(document))
    if text is None:
        raise ValueError("This list is too long for a link; give its layers shorter names or fewer of them.")
    return text


def decode(text: str) -> LayerList:
    """The list that a link holds; raises `ValueError` with one sentence where it holds none."""
    return LayerList.read(unpacked(text, "A", "layer list"))


def read_upload(content: bytes) -> LayerList:
    """The list in an uploaded file; raises `ValueError` with one sentence where it holds none."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"A layer list is at most {MAX_BYTES:,} bytes; this file has {len(content):,}.")
    return LayerList.read(content)
