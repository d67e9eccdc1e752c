"""What a run can be, what it can become, and what a page can ask of it."""

from __future__ import annotations

from enum import StrEnum

from cnnviz.tracking.errors import WrongStateError


class Status(StrEnum):
    """The state of a run."""

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
    """Where a run comes from, which decides what can be done with it."""

    TRAINED = "trained"
    """By a worker of ours, from its recipe: it can be claimed, paused, resumed, killed and probed."""
    WATCHED = "watched"
    """Somebody's own training loop (`cnnviz.watch`): it can be asked to stop, and no more."""
    IMPORTED = "imported"
    """A history read from a file; there is no process."""
    RECORDED = "recorded"
    """Ships with the product."""


class Command(StrEnum):
    """What a page asks of a run."""

    PAUSE = "pause"
    STOP = "stop"
    RESUME = "resume"


# A worker belongs to these, and they hold their device. A paused run holds nothing: its worker has written a
# checkpoint and left, so that a pause outlives the app and the device is free for the next run.
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


def check(run_id: int, old: Status, new: Status) -> None:
    """Raise `WrongStateError` where a run cannot go from `old` to `new`."""
    if new not in ALLOWED[old]:
        raise WrongStateError(f"Run {run_id} is {old} and cannot become {new}.")
