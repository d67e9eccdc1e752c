"""A process is known by its number and its time of start: numbers are given out again."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from cnnviz.models.library import home
from cnnviz.tracking import Database

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


# Who supervises on this machine: a file for each, valid as long as its process lives.


@contextmanager
def announced(database: Database) -> Iterator[None]:
    """Say that this process supervises the runs of this database, as long as the block lasts."""
    pid = os.getpid()
    path = home() / "supervisors" / f"{pid}-{secrets.token_hex(3)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"pid": pid, "started": started(pid), "database": database.where}
    path.write_text(json.dumps(told), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def supervised(database: Database) -> bool:
    """Whether a process on this machine supervises this database's runs; clears away dead ones' files."""
    found = False
    for path in (home() / "supervisors").glob("*.json"):
        try:
            told = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue  # It is being written, or was removed in this moment.
        if not lives(told["pid"], told["started"]):
            path.unlink(missing_ok=True)
        elif told["database"] == database.where:
            found = True
    return found
