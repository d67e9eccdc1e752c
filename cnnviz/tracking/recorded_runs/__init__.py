"""Recorded runs: trainings that ship with cnnviz, `NAME.json.gz`, to be put into a run database.

There a recorded run is one of the kind `recorded`: finished, with curves, records and recipe, without weights
in its folder. It is compared, diagnosed, cloned, exported and deleted like any other, and never resumed.
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
from cnnviz.tracking.limits import own
from cnnviz.tracking.metrics import Value, append_values
from cnnviz.tracking.records import Lease
from cnnviz.tracking.states import Kind, Status
from cnnviz.tracking.tables import AttemptRow, RecordRow, RunRow, StatusRow

FOLDER = Path(__file__).parent
SUFFIX = ".json.gz"
_ATTEMPT = 1


class UnknownRecordedRunError(ValueError):
    """No recorded run of that name ships."""


@dataclass(frozen=True)
class RecordedRun:
    """What is said of a recorded run before it is put anywhere.

    Args:
        name: Of its file.
        title: What the run is called.
        model: The registered model.
        dataset: The registered data set that its recipe names.
        data: What was truly learned from, in words.
        accuracy: On the test images after the last epoch, in [0, 1].
        epochs: How many it took.
        seconds: How long that took.
        hardware: On what.
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
    """What ships, by name."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}")))


@cache
def describe(name: str) -> RecordedRun:
    """Return what is known of a recorded run; raises `UnknownRecordedRunError` with one sentence."""
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
    """Names of the recorded runs that are not in the list of runs: never put there, or deleted."""
    keys = {_key(name): name for name in names()}
    with database.read() as session:
        there = session.scalars(
            select(RunRow.key).where(RunRow.key.in_(keys), RunRow.deleted_at.is_(None))
        ).all()
    return tuple(name for key, name in keys.items() if key not in there)


def add(database: Database, name: str) -> int:
    """Put a recorded run into the database and return its number; one that is there already stays as it is.

    Raises `UnknownRecordedRunError`, and `NotOwnerError` for those who may only look.
    """
    body = _read(name)
    with database.write() as session:
        owner = own(session, "record a run")
        known = session.scalars(select(RunRow).where(RunRow.key == _key(name))).one_or_none()
        if known is not None:
            known.deleted_at = None
            return known.id
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
        for old, new, when in (
            (None, Status.RUNNING.value, body["began"]),
            (Status.RUNNING.value, Status.FINISHED.value, body["ended"]),
        ):
            session.add(StatusRow(run_id=row.id, attempt=_ATTEMPT, old=old, new=new, time=when))
        append_values(
            session,
            lease,
            [Value(curve, *point) for curve, points in body["curves"].items() for point in points],
        )
        records = [
            {
                "run_id": row.id, "kind": kind, "attempt": _ATTEMPT, "step": step, "epoch": epoch,
                "time": when, "body": orjson.dumps(content).decode(),
            }
            for kind, step, epoch, when, content in body["records"]
        ]  # fmt: skip
        if records:
            session.execute(insert(RecordRow), records)
        return row.id


def _key(name: str) -> str:
    """The run's key, the same in every database, so that it is there once."""
    return hashlib.sha256(f"recorded/{name}".encode()).hexdigest()[:12]


def _read(name: str) -> dict[str, Any]:
    if name not in names():
        there = ", ".join(names()) or "none"
        raise UnknownRecordedRunError(f"There is no recorded run '{name[:60]}'; there is: {there}.")
    body: dict[str, Any] = orjson.loads(gzip.decompress((FOLDER / f"{name}{SUFFIX}").read_bytes()))
    return body
