"""Failures of a run's training: the status and the message that an exception leads to."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass

from cnnviz.sentences import full_stop
from cnnviz.tracking import DatabaseFullError, Status
from cnnviz.tracking.store import StoreError
from cnnviz.training.metrics import NonFiniteLossError


@dataclass(frozen=True)
class Failure:
    """How an exception ends a run."""

    status: Status
    error: str
    """One sentence."""
    last_lines: str | None = None
    """The traceback, for an exception whose cause is unknown."""


def failure_of(error: Exception) -> Failure:
    """Return how an exception of a training ends the run: it fails, or pauses where only room is missing."""
    if isinstance(error, DatabaseFullError):
        return Failure(Status.PAUSED, str(error))
    if isinstance(error, NonFiniteLossError | StoreError | ValueError):
        return Failure(Status.FAILED, str(error))
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            sentence = "The disk is full; the last checkpoint is whole. Make room and resume the run."
            return Failure(Status.PAUSED, sentence)
        sentence = full_stop(f"{error.filename or 'The system'}: {error.strerror or error}")
        return Failure(Status.FAILED, sentence, _traceback(error))
    return Failure(Status.FAILED, _message(error), _traceback(error))


def lost_exchange(error: Exception) -> bool:
    """Return whether a collective failed, since another rank was lost.

    Errors of gloo are known by message only, those of NCCL by class.
    """
    from torch import distributed

    return isinstance(error, distributed.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    )


def _message(error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    return f"{type(error).__name__}: {first}"


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
