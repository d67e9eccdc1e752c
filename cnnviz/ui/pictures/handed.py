"""Pictures that a visitor handed in, drew or took: kept as the files they came as, for this visitor only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.inference.picture import Picture, Pixels, Refusal
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.inference.uploads import Upload

KEY = "pictures-handed"
MOST = 60
"""Pictures kept of one visitor."""
MOST_BYTES = 200 << 20
THUMB = 96


@dataclass(frozen=True, eq=False)
class Kept:
    """A picture that could be read: its file, and a small copy, uint8 `(3, THUMB, THUMB)`."""

    number: int
    name: str
    data: bytes
    thumb: Pixels


def kept() -> list[Kept]:
    """What this visitor has handed in, the oldest first."""
    found: list[Kept] = st.session_state.setdefault(KEY, [])
    return found


def add(upload: Upload) -> Kept | Refusal:
    """Read one file and keep it; the oldest go where there are too many."""
    data = upload.data if isinstance(upload.data, bytes) else upload.data()
    found = decoded(upload.name, data)
    if isinstance(found, Refusal):
        return found
    all_kept = kept()
    one = Kept(1 + max((old.number for old in all_kept), default=0), upload.name, data, _thumb(found.pixels))
    all_kept.append(one)
    while len(all_kept) > MOST or sum(len(old.data) for old in all_kept) > MOST_BYTES:
        del all_kept[0]
    return one


def picture(number: int) -> Picture | None:
    """A picture by its number; None where this visitor has none of it."""
    one = next((one for one in kept() if one.number == number), None)
    found = None if one is None else decoded(one.name, one.data)
    return found if isinstance(found, Picture) else None


def decoded(name: str, data: bytes) -> Picture | Refusal:
    """A file's picture, or why it is none."""
    return _decoded(hashlib.blake2b(data, digest_size=16).hexdigest(), name, data)


def sheet(all_kept: Sequence[Kept]) -> Pixels:
    """Their small copies, uint8 `(N, 3, THUMB, THUMB)`."""
    return np.stack([one.thumb for one in all_kept])


# Up to 160 MB.
@RESULTS.cached()
def _decoded(digest: str, name: str, _data: bytes) -> Picture | Refusal:
    from cnnviz.inference.uploads import Upload, read

    return read(Upload(name, _data))


def _thumb(pixels: Pixels) -> Pixels:
    from PIL import Image, ImageOps

    image = Image.fromarray(pixels[..., :3])
    return np.asarray(ImageOps.pad(image, (THUMB, THUMB))).transpose(2, 0, 1)
