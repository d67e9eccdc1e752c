"""State machine of a run: statuses, kinds, commands, and the allowed transitions."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Status of a run."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Kind(StrEnum):
    """Origin of a run, which decides the operations that it supports."""

    TRAINED = "trained"
    """Trained by our worker from its recipe: can be claimed, paused, resumed, killed and probed."""
    WATCHED = "watched"
    """A user's own training loop (`cnnviz.watch`): it can only be asked to stop."""
    IMPORTED = "imported"
    """A history read from a file; there is no process."""
    RECORDED = "recorded"
    """A run that ships with cnnviz."""


class Command(StrEnum):
    """Request of a page to a run's worker."""

    PAUSE = "pause"
    STOP = "stop"
    RESUME = "resume"


# Runs with one of these statuses have a worker and hold their device. A paused run holds none: its worker has
# saved a checkpoint and exited, so a pause survives a restart of the app and frees the device.
ACTIVE = frozenset((Status.STARTING, Status.RUNNING, Status.STOPPING))
RESUMABLE = frozenset((Status.PAUSED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED))

_ENDS = frozenset((Status.STOPPED, Status.FAILED, Status.INTERRUPTED))
ALLOWED: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset((Status.STARTING, Status.PAUSED, Status.STOPPED)),
    Status.STARTING: frozenset((Status.RUNNING, Status.PAUSED)) | _ENDS,
    Status.RUNNING: frozenset((Status.PAUSED, Status.STOPPING, Status.FINISHED)) | _ENDS,
    Status.STOPPING: frozenset((Status.FINISHED,)) | _ENDS,
    Status.PAUSED: frozenset((Status.QUEUED, Status.STOPPED)),
    Status.STOPPED: frozenset((Status.QUEUED,)),
    Status.FAILED: frozenset((Status.QUEUED,)),
    Status.INTERRUPTED: frozenset((Status.QUEUED,)),
    Status.FINISHED: frozenset(),
}
