"""Process identity: PID and start time, since PIDs are reused."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from cnnviz.paths import home
from cnnviz.tracking import Database

TOLERANCE_SECONDS = 2.0
"""Maximum difference of two readings of the same start time, if the clock was adjusted."""


def started(pid: int) -> float:
    """Return the start time of a process (Unix timestamp); raise `ProcessLookupError` if there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        raise ProcessLookupError(f"There is no process {pid}.") from None


def is_alive(pid: int, since: float) -> bool:
    """Return whether the process that was started at that time is alive."""
    return _find(pid, since) is not None


def kill(pid: int, since: float) -> None:
    """Kill the process that was started at that time, and never another one with the same PID."""
    process = _find(pid, since)
    if process is not None:
        process.kill()


def _find(pid: int, since: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - since) < TOLERANCE_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


# Supervisors of this machine: one file each, valid while its process is alive.


@contextmanager
def registered_supervisor(database: Database) -> Iterator[None]:
    """Register this process as a supervisor of this database within the block."""
    pid = os.getpid()
    path = home() / "supervisors" / f"{pid}-{secrets.token_hex(3)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"pid": pid, "started": started(pid), "database": database.where}
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_supervised(database: Database) -> bool:
    """Return whether a process on this machine supervises this database; delete files of dead ones."""
    is_supervised = False
    for path in (home() / "supervisors").glob("*.json"):
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue  # Written or deleted concurrently.
        if not is_alive(content["pid"], content["started"]):
            path.unlink(missing_ok=True)
        elif content["database"] == database.where:
            is_supervised = True
    return is_supervised
