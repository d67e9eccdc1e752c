"""An experiment as a short text that fits into a link, and back.

The text is the document's JSON, deflated (RFC 1950), in the URL-safe alphabet of RFC 4648 without padding.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from cnnviz.experiments.experiment import Experiment

MAX_TEXT = 48_000
"""The most characters of a link's text: browsers and servers take addresses up to 64 kB."""
MAX_BYTES = 1_000_000
"""The most bytes of a document, unpacked."""


def pack(experiment: Experiment) -> str:
    """The experiment as text for a link; raises `ValueError` where it is too long for one."""
    packed = zlib.compress(experiment.write().encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(text) > MAX_TEXT:
        raise ValueError("This experiment is too long for a link; take it along as a file.")
    return text


def unpack(text: str) -> Experiment:
    """The experiment that a link holds; raises `ValueError` with one sentence where it holds none."""
    if len(text) > MAX_TEXT:
        raise ValueError(
            f"An experiment in a link has at most {MAX_TEXT:,} characters; this has {len(text):,}."
        )
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        document = unpacker.decompress(packed, MAX_BYTES)
    except (binascii.Error, zlib.error, ValueError):
        raise ValueError(
            "The experiment in the link is damaged, perhaps cut short when it was copied."
        ) from None
    if not unpacker.eof:
        raise ValueError("The experiment in the link is cut short or too large.")
    return Experiment.read(document)
