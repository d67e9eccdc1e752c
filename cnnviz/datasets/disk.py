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
RESERVE_BYTES = 32 << 20
"""Of a disk, which data leave free for whatever else writes to it, the run database first."""
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
    """Raise `DataError` unless the disk of `place` has `needed` bytes free beside `RESERVE_BYTES`."""
    free = shutil.disk_usage(place).free
    if free < needed + RESERVE_BYTES:
        raise DataError(
            f"{megabytes(needed)} are needed in '{place.parent}' beside {megabytes(RESERVE_BYTES)} that stay "
            f"free for the rest of the system, and {megabytes(free)} are free; make room, or set CNNVIZ_HOME "
            "to a folder on another disk."
        )


def megabytes(count: int) -> str:
    """Bytes in a sentence: `34 MB`, and `0.3 MB` where whole ones would say nothing."""
    value = count / 1e6
    return f"{value:,.0f} MB" if value >= 10 or value == 0 else f"{value:.1g} MB"
