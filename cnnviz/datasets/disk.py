"""Disks that are full or forbid writing, in words."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnviz.datasets.spec import DataError
from cnnviz.models.library import home

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full disk, or a home that forbids writing, into a `DataError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DataError(
                f"The disk that holds '{home()}' is full; make room, or set CNNVIZ_HOME to one on another."
            ) from error
        if error.errno in FORBIDDEN and str(error.filename).startswith(str(home())):
            raise DataError(
                f"'{error.filename}' cannot be written ({error.strerror}); set CNNVIZ_HOME to a folder "
                "that can."
            ) from error
        raise


def require_space(place: Path, needed: int) -> None:
    """Raise `DataError` unless the disk of `place` has `needed` bytes free, and a little more."""
    free = shutil.disk_usage(place).free
    if free < needed + (32 << 20):
        raise DataError(
            f"{needed / 1e6:,.0f} MB are needed in '{place.parent}' and {free / 1e6:,.0f} MB are free; "
            "make room, or set CNNVIZ_HOME to a folder on another disk."
        )
