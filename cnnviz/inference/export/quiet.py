"""Silence of torch's exporter: what it prints and logs while it fails is said in a sentence by the caller."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch.export", "torch.onnx")


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Drop warnings, and what this thread writes to stderr or logs as torch's exporter.

    A graph that could not be exported is printed to stderr by torch itself. Other threads' lines pass.
    """
    thread, stream = threading.get_ident(), sys.stderr

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(of_others)
    silenced: Any = _OthersLines(stream, thread)
    sys.stderr = silenced
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        if sys.stderr is silenced:
            sys.stderr = stream
        for logger in loggers:
            logger.removeFilter(of_others)


class _OthersLines:
    """Stream that drops what one thread writes."""

    def __init__(self, stream: Any, thread: int) -> None:
        self._stream, self._thread = stream, thread

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            return len(text)
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
