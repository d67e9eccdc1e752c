"""Disks that are full or forbid writing, in words."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnviz.datasets.spec import DataError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn a full or forbidden disk into a `DataError` that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DataError(
                f"The disk that holds '{place.parent}' is full; make room, or set CNNVIZ_HOME to another."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and str(place) in str(error.filename):
            raise DataError(
                f"'{place.parent}' cannot be written to; set CNNVIZ_HOME to a folder that can."
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
