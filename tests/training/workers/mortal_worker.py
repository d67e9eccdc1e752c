"""The product's worker, made to write checkpoints often, and to die or fail where the file `FATE` says.

What lies there is used up by the first checkpoint that gets so far.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from safetensors import torch as tensors

from cnnviz.paths import home
from cnnviz.training import checkpoint, trainer
from cnnviz.training.workers import process

FATE = "fate"
ROWS, HALF, WHOLE, RENAMED, FULL = "rows", "half", "whole", "renamed", "full"
"""Rows are committed, nothing is written; half of the temporary file; all of it; it has its name; no room."""
SAVE_SECONDS = 0.2

_write, _fsync = checkpoint.write_snapshot, os.fsync


def met(place: str) -> bool:
    """Whether this is where it shall happen, which is then past."""
    file = home() / FATE
    if not file.exists() or file.read_text() != place:
        return False
    file.unlink()
    return True


def die_at(place: str) -> None:
    """Be killed by SIGKILL here, if this is the place."""
    if met(place):
        os.kill(os.getpid(), signal.SIGKILL)


def write(path: Path, *rest: Any) -> None:
    """The product's, with places to die at."""
    die_at(ROWS)
    with mock.patch("os.fsync", fsync):
        _write(path, *rest)
    die_at(RENAMED)


def save(*given: Any, **named: Any) -> bytes:
    """The bytes of a checkpoint, for a file that is open already."""
    data = tensors.save(*given, **named)
    if met(HALF):
        (temporary,) = (home() / "runs").glob("*/.*.tmp")
        temporary.write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return data


def fsync(file: Any) -> None:
    """The system's, unless the disk is full."""
    _fsync(file)
    die_at(WHOLE)
    if met(FULL):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


if __name__ == "__main__":
    trainer.SAVE_SECONDS = SAVE_SECONDS
    mock.patch.object(checkpoint, "write_snapshot", write).start()
    mock.patch.object(checkpoint, "save", save).start()
    sys.exit(process.main())
