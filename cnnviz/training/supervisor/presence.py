"""Who supervises on this machine: a file for each, valid as long as its process lives."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from cnnviz.models.library import home
from cnnviz.tracking import Database
from cnnviz.training.supervisor import identity


@contextmanager
def announced(database: Database) -> Iterator[None]:
    """Say that this process supervises the runs of this database, as long as the block lasts."""
    pid = os.getpid()
    path = home() / "supervisors" / f"{pid}-{secrets.token_hex(3)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"pid": pid, "started": identity.started(pid), "database": database.where}
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
        if not identity.lives(told["pid"], told["started"]):
            path.unlink(missing_ok=True)
        elif told["database"] == database.where:
            found = True
    return found
