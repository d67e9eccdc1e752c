"""Recorded runs: training runs that ship with cnnviz as `NAME.json.gz`, to be added to a run database.

In the database it is a finished run of the kind `recorded`, with curves, records and recipe, without weights.
It can be compared, diagnosed, cloned, exported and deleted like any other, but not resumed.

`python -m cnnviz.tracking.recorded_runs RUN NAME …` records a finished run for shipping.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import insert, select

from cnnviz import tracking
from cnnviz.tracking.database import Database
from cnnviz.tracking.limits import get_or_create_owner
from cnnviz.tracking.metrics import Value, append_values
from cnnviz.tracking.records import Kind, Lease, Status
from cnnviz.tracking.tables import AttemptRow, RecordRow, RunRow, StatusRow

FOLDER = Path(__file__).with_name("recorded_runs")
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


# Recording of a finished run. In the shipped recipe `--dataset` replaces the folder that was read, so that
# everyone can follow the recipe.

MAX_BYTES = 300_000
POINTS = 300
"""Maximum number of points of a curve."""
LOOKS = 40
"""Maximum number of records of one kind over a run, such as layer statistics and histograms."""
_SERIES = ("layers", "train/predicted", "test/predicted")
_WITH_IMAGES = ("fixed_images", "fixed_predictions")
_DIGITS = 5


def package_run(
    database: Database, run_id: int, *, title: str, dataset: str, data: str, command: str, images: bool = True
) -> dict[str, Any]:
    """Return the JSON document that ships of a run.

    Args:
        database: The run database.
        run_id: A finished run.
        title: Display name of the recorded run.
        dataset: The registered data set that its recipe names.
        data: Description of the data that it was trained on.
        command: The command that created it.
        images: Whether the images of its sample predictions ship; not where their license is not stated.

    Raises:
        ValueError: The run is not finished.
        NoSuchRunError: There is no such run.
    """
    run = tracking.get_run(database, run_id)
    if run.status is not Status.FINISHED:
        raise ValueError(f"Run {run_id} is {run.status}; a recorded run is a finished one.")
    curves = {name: _points(database, run_id, name) for name in sorted(run.metrics)}
    curves = {name: points for name, points in curves.items() if points}
    versions = run.versions or {}
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    return {
        "name": title,
        "model": run.model,
        "dataset": dataset,
        "data": data,
        "accuracy": run.metrics["test/accuracy"].last,
        "recipe": {**run.recipe, "dataset": dataset},
        "seed": run.seed,
        "params": run.params,
        "versions": versions,
        "hardware": run.hardware or "",
        "fingerprint": run.fingerprint,
        "step": run.step,
        "epoch": run.epoch,
        "began": (run.ended or 0) - run.seconds,
        "ended": run.ended,
        "seconds": run.seconds,
        "notes": f"Recorded, and shipped with cnnviz. Data: {data}. Hardware: {run.hardware}; "
        f"{with_versions}. Made by `{command}`.",
        "curves": curves,
        "records": [
            [record.kind, record.step, record.epoch, record.time, rounded(record.body)]
            for record in _records(database, run_id)
            if images or record.kind not in _WITH_IMAGES
        ],
    }


def _points(database: Database, run_id: int, name: str) -> list[tuple[int, float, float, float]]:
    """Return step, epoch, value and time of at most `POINTS` values, including the first and the last."""
    rows = [row for row in _metrics(database, run_id) if row.name == name and math.isfinite(row.value)]
    if len(rows) > POINTS:
        rows = [rows[round(index * (len(rows) - 1) / (POINTS - 1))] for index in range(POINTS)]
    return [(row.step, round(row.epoch, 3), _short(row.value), round(row.time, 1)) for row in rows]


def _metrics(database: Database, run_id: int) -> list[tracking.Metric]:
    rows, cursor, more = list[tracking.Metric](), 0, True
    while more:
        page = tracking.read_metrics(database, run_id, cursor, 50_000)
        rows += page.rows
        cursor, more = page.cursor, page.more
    return rows


def _records(database: Database, run_id: int) -> list[tracking.Record]:
    """Return the newest record of each kind; of kinds recorded over the run, at most `LOOKS`."""
    chosen: list[tracking.Record] = []
    for kind in _kinds(database, run_id):
        records = tracking.read_records(database, run_id, kind)
        if kind not in _SERIES:
            chosen += records[-1:]
        elif len(records) <= LOOKS:
            chosen += records
        else:
            indices = {round(index * (len(records) - 1) / (LOOKS - 1)) for index in range(LOOKS)}
            chosen += [record for index, record in enumerate(records) if index in indices]
    return sorted(chosen, key=lambda record: record.step)


def _kinds(database: Database, run_id: int) -> list[str]:
    query = select(RecordRow.kind).where(RecordRow.run_id == run_id).distinct().order_by(RecordRow.kind)
    with database.read() as session:
        return list(session.scalars(query))


def rounded(body: Any) -> Any:
    """Round every float of a JSON value to five significant digits, more than is ever shown."""
    if isinstance(body, float):
        return _short(body)
    if isinstance(body, dict):
        return {key: rounded(value) for key, value in body.items()}
    return [rounded(value) for value in body] if isinstance(body, list) else body


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def write(packed: dict[str, Any], path: Path, private: Sequence[str] = ()) -> int:
    """Write a packaged run and return its size in bytes.

    Raises:
        ValueError: The file is larger than `MAX_BYTES`, or contains one of `private` (paths, names).
    """
    text = orjson.dumps(packed)
    for word in private:
        if word.encode() in text:
            raise ValueError(f"It would ship '{word}', which says something of this machine.")
    compressed = gzip.compress(text, 9, mtime=0)
    if len(compressed) > MAX_BYTES:
        raise ValueError(
            f"{len(compressed) / 1000:,.0f} kB are too much to ship: at most {MAX_BYTES // 1000}."
        )
    path.write_bytes(compressed)
    return len(compressed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a recorded run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz.tracking.recorded_runs")
    parser.add_argument("run", type=int)
    parser.add_argument("name")
    for option in ("--title", "--dataset", "--data", "--command"):
        parser.add_argument(option, required=True)
    parser.add_argument("--no-images", dest="images", action="store_false", help="leave its test images out")
    chosen = vars(parser.parse_args(arguments))
    number, name = chosen.pop("run"), chosen.pop("name")
    with tracking.connect() as database:
        run = tracking.get_run(database, number)
        packed = package_run(database, number, **chosen)
    private = [str(Path.home()), *([run.dataset] if "/" in run.dataset else [])]
    print(f"{name}: {write(packed, FOLDER / (name + SUFFIX), private) / 1000:,.1f} kB")


if __name__ == "__main__":
    main()
