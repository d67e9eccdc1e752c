"""A process is known by its number and its time of start: numbers are given out again."""

from __future__ import annotations

import psutil

TOLERANCE_SECONDS = 2.0
"""By how much two readings of one time of start may differ, where the clock was set in between."""


def started(pid: int) -> float:
    """When a process was started, in seconds since 1970; raises `ProcessLookupError` where there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        raise ProcessLookupError(f"There is no process {pid}.") from None


def lives(pid: int, since: float) -> bool:
    """Whether the process that was started at that time is still there."""
    return _find(pid, since) is not None


def kill(pid: int, since: float) -> None:
    """Kill the process that was started at that time, and never one that has got its number since."""
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
