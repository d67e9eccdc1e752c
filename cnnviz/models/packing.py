"""A document as a short text that fits into a link, and back.

The text is the document deflated (RFC 1950), in the URL-safe alphabet of RFC 4648 without padding.
"""

from __future__ import annotations

import base64
import binascii
import zlib

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
