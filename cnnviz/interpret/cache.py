"""Disk cache of slow results: complete `.npz` files under `CNNVIZ_HOME/cache/interpret`."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.datasets.encoded_store import disk_errors
from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret import InterpretError, StoppedError
from cnnviz.paths import home

VERSION = 1
"""Version of the stored format, part of the path: results of another version are ignored."""


def fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 of a model's structure, weights and buffers, hexadecimal."""
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cache_key(*parts: Any) -> str:
    """Hash what a result depends on (model and data fingerprints, layer, preprocessing) into a cache key.

    Parts are whatever JSON can hold.
    """
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def cache_path(kind: str, key: str) -> Path:
    """Return the file of a result; it need not exist."""
    return home() / "cache" / "interpret" / f"v{VERSION}" / kind / f"{key}.npz"


def load(kind: str, key: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a cached result; None where it is missing or damaged."""
    try:
        with np.load(cache_path(kind, key), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def save(kind: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store arrays, written to a temporary file that is then renamed.

    Raises:
        DataError: Where the disk is full or not writable.
    """
    path = cache_path(kind, key)
    packed, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez(packed, allow_pickle=False, **named)
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(packed.getvalue())
            os.replace(temporary, path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


# Iteration over a data set in batches, with progress and cancellation.

Batches = Iterable[tuple[Tensor, Tensor]]
"""Pairs of model input, float `(N, C, H, W)`, and labels, int64 `(N,)`."""
Stop = Callable[[], bool]
"""Polled between batches; True cancels the work."""


def never_stop() -> bool:
    """Return False: the work is not canceled."""
    return False


def iterate_batches(
    batches: Batches, total: int | None, stage: str, progress: Progress = silent, stop: Stop = never_stop
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches, reporting to `progress` after each how many of `total` images are done.

    Raises:
        StoppedError: As soon as `stop()` is true.
        InterpretError: Where there are no images.
    """
    done = 0
    progress(Step(stage, 0, total))
    for images, labels in batches:
        if stop():
            raise StoppedError(f"Stopped after {done:,} images.")
        yield images, labels
        done += len(images)
        progress(Step(stage, done, total))
    if not done:
        raise InterpretError("There are no images to go through.")


def split_batches(images: Tensor, labels: Tensor, size: int = 256) -> Batches:
    """Split tensors that are in memory into batches."""
    return list(zip(torch.split(images, size), torch.split(labels, size), strict=True))
