"""What a data set is, in 64 digits: a hash of its ordered source bytes and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from cnnviz.datasets.spec import Labels, Pixels


def digest(data: bytes) -> bytes:
    """The SHA-256 of one picture as its source holds it."""
    return hashlib.sha256(data).digest()


def digests(images: Pixels) -> list[bytes]:
    """The SHA-256 of each image `(N, C, H, W)`, for sources that hold pixels and no files."""
    return [digest(np.ascontiguousarray(image).tobytes()) for image in images]


def fingerprint(parts: Sequence[tuple[str, Sequence[bytes], Labels]]) -> str:
    """Hash parts, each a name, its pictures' digests and its labels, all in order.

    Each picture is hashed by itself first, so that a split in another order costs no second reading. Where
    the pictures lay (folder, zip, Parquet) and what the classes are called does not enter.
    """
    whole = hashlib.sha256()
    for name, pictures, labels in parts:
        whole.update(f"{name}:{len(pictures)}\n".encode())
        whole.update(b"".join(pictures))
        whole.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return whole.hexdigest()
