"""Recorded runs: training runs that ship with cnnviz as `NAME.json.gz`, to be added to a run database.

In the database it is a finished run of the kind `recorded`, with curves, records and recipe, without weights.
It can be compared, diagnosed, cloned, exported and deleted like any other, but not resumed.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import insert, select

from cnnviz.tracking.database import Database
from cnnviz.tracking.limits import get_or_create_owner
from cnnviz.tracking.metrics import Value, append_values
from cnnviz.tracking.records import Kind, Lease, Status
from cnnviz.tracking.tables import AttemptRow, RecordRow, RunRow, StatusRow

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
_ATTEMPT = 1


class UnknownRecordedRunError(ValueError):
    """No recorded run has this name."""


@dataclass(frozen=True)
class RecordedRun:
    """Summary of a recorded run.

    Args:
        name: Name of its file.
        title: Display name of the run.
        model: Registered model.
        dataset: Registered data set that its recipe names.
        data: Description of the data that it was trained on.
        accuracy: Test accuracy after the last epoch, in [0, 1].
        epochs: Number of epochs.
        seconds: Training time.
        hardware: Description of the hardware.
    """

    name: str
    title: str
    model: str
    dataset: str
    data: str
    accuracy: float
    epochs: float
    seconds: float
    hardware: str


def names() -> tuple[str, ...]:
    """Return the names of all recorded runs."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}")))


@cache
def describe(name: str) -> RecordedRun:
    """Return the summary of a recorded run; raise `UnknownRecordedRunError`."""
    head = _read(name)
    return RecordedRun(
        name,
        head["name"],
        head["model"],
        head["dataset"],
        head["data"],
        head["accuracy"],
        head["epoch"],
        head["seconds"],
        head["hardware"],
    )


def missing(database: Database) -> tuple[str, ...]:
    """Return the names of the recorded runs that are not in the database, or are deleted there."""
    keys = {_key(name): name for name in names()}
    with database.read() as session:
        present = session.scalars(
            select(RunRow.key).where(RunRow.key.in_(keys), RunRow.deleted_at.is_(None))
        ).all()
    return tuple(name for key, name in keys.items() if key not in present)


def add(database: Database, name: str) -> int:
    """Insert a recorded run into the database and return its id; an existing one is only restored.

    Raises:
        UnknownRecordedRunError: There is no such recorded run.
        NotOwnerError: The principal is read-only.
    """
    body = _read(name)
    with database.write() as session:
        owner = get_or_create_owner(session, "record a run")
        existing = session.scalars(select(RunRow).where(RunRow.key == _key(name))).one_or_none()
        if existing is not None:
            existing.deleted_at = None
            return existing.id
        row = RunRow(
            key=_key(name), kind=Kind.RECORDED.value, status=Status.FINISHED.value, owner_id=owner,
            name=body["name"], recipe=body["recipe"], model=body["model"], dataset=body["dataset"],
            seed=body["seed"], params=body["params"], versions=body["versions"], hardware=body["hardware"],
            fingerprint=body["fingerprint"], attempt=_ATTEMPT, step=body["step"], epoch=body["epoch"],
            total_steps=body["step"], total_epochs=body["epoch"], created=body["began"],
            queued=body["began"], began=body["began"], ended=body["ended"],
            earlier_seconds=body["seconds"], notes=body["notes"], tags=["recorded"],
        )  # fmt: skip
        session.add(row)
        session.flush()
        lease = Lease(row.id, _ATTEMPT)
        session.add(AttemptRow(run_id=row.id, number=_ATTEMPT, from_step=-1, began=body["began"]))
        for old, new, time in (
            (None, Status.RUNNING.value, body["began"]),
            (Status.RUNNING.value, Status.FINISHED.value, body["ended"]),
        ):
            session.add(StatusRow(run_id=row.id, attempt=_ATTEMPT, old=old, new=new, time=time))
        append_values(
            session,
            lease,
            [Value(curve, *point) for curve, points in body["curves"].items() for point in points],
        )
        records = [
            {
                "run_id": row.id, "kind": kind, "attempt": _ATTEMPT, "step": step, "epoch": epoch,
                "time": time, "body": orjson.dumps(content).decode(),
            }
            for kind, step, epoch, time, content in body["records"]
        ]  # fmt: skip
        if records:
            session.execute(insert(RecordRow), records)
        return row.id


def _key(name: str) -> str:
    """Return the run's key, which is the same in every database, so that it is inserted once."""
    return hashlib.sha256(f"recorded/{name}".encode()).hexdigest()[:12]


def _read(name: str) -> dict[str, Any]:
    if name not in names():
        available = ", ".join(names()) or "none"
        raise UnknownRecordedRunError(f"There is no recorded run '{name[:60]}'; there is: {available}.")
    body: dict[str, Any] = orjson.loads(gzip.decompress((FOLDER / f"{name}{SUFFIX}").read_bytes()))
    return body
