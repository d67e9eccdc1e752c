"""A layer list as a short text that fits into a link, and back; and one from a file that was handed in."""

from __future__ import annotations

from cnnviz.models import packing
from cnnviz.models.edit import compact
from cnnviz.models.layers import LayerList
from cnnviz.models.packing import MAX_BYTES


def encode(document: LayerList) -> str:
    """The list as text for a link; raises `ValueError` where it is too long for one."""
    text = packing.packed(compact(document))
    if text is None:
        raise ValueError("This list is too long for a link; give its layers shorter names or fewer of them.")
    return text


def decode(text: str) -> LayerList:
    """The list that a link holds; raises `ValueError` with one sentence where it holds none."""
    return LayerList.read(packing.unpacked(text, "A", "layer list"))


def read_upload(content: bytes) -> LayerList:
    """The list in an uploaded file; raises `ValueError` with one sentence where it holds none."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"A layer list is at most {MAX_BYTES:,} bytes; this file has {len(content):,}.")
    return LayerList.read(content)
