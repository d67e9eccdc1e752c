"""URL codec: documents and layer lists as short text in a link.

The text is the document deflated (zlib format, RFC 1950), in the URL-safe base64 alphabet of RFC 4648 without
padding.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from cnnviz.models.layer_list_edit import compact
from cnnviz.models.layers import LayerList

MAX_TEXT = 48_000
"""Maximum characters of a link's text: browsers and servers accept URLs up to 64 kB."""
MAX_BYTES = 1_000_000
"""Maximum bytes of a decompressed document."""


def packed(document: str) -> str | None:
    """Compress a document to text for a link; return None where it is too long for one."""
    text = base64.urlsafe_b64encode(zlib.compress(document.encode(), 9)).decode().rstrip("=")
    return text if len(text) <= MAX_TEXT else None


def unpacked(text: str, article: str, noun: str) -> bytes:
    """Decompress the document in a link.

    Args:
        text: Text of the link.
        article: Indefinite article of the noun, for messages.
        noun: Kind of document, for messages.

    Raises:
        ValueError: Where the text is too long or damaged.
    """
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


# Layer lists in links and uploads.


def encode(document: LayerList) -> str:
    """Encode a layer list for a link.

    Raises:
        ValueError: Where it is too long for one.
    """
    text = packed(compact(document))
    if text is None:
        raise ValueError("This list is too long for a link; give its layers shorter names or fewer of them.")
    return text


def decode(text: str) -> LayerList:
    """Decode the layer list in a link.

    Raises:
        ValueError: Where it is invalid; one sentence.
    """
    return LayerList.read(unpacked(text, "A", "layer list"))


def read_upload(content: bytes) -> LayerList:
    """Parse an uploaded layer list.

    Raises:
        ValueError: Where it is invalid; one sentence.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"A layer list is at most {MAX_BYTES:,} bytes; this file has {len(content):,}.")
    return LayerList.read(content)
