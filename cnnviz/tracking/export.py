"""Export of a run: summary, JSON document and CSV, streamed in pieces of bounded size."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
from sqlalchemy import select

from cnnviz.formats.csv_text import csv_rows
from cnnviz.tracking.database import Database, TrackingError
from cnnviz.tracking.metrics import read_metrics
from cnnviz.tracking.records import Metric
from cnnviz.tracking.run_files import checkpoints, disk_bytes, run_folder
from cnnviz.tracking.runs import get_run, history
from cnnviz.tracking.tables import RecordRow

SUMMARY = "run.json"
"""Name of the summary in a run's folder, from which `training.recover` restores a lost database."""
COLUMNS = ("name", "step", "epoch", "value", "attempt", "time")
_PAGE = 10_000
_RECORDS = 20


def report(database: Database, run_id: int) -> dict[str, Any]:
    """Return the summary that `train --json` and `runs show --json` print; raise `NoSuchRunError`.

    `metrics` is `{name: {last, best, step, best_step}}` with the `step` of the last value; `checkpoint` is
    the path of the last checkpoint, or None.
    """
    run = get_run(database, run_id)
    saved = checkpoints(database, run_id)
    folder = run_folder(run.id, run.key)
    paths = {kind: str(folder / checkpoint.path) for kind, checkpoint in saved.items()}
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status.value,
        "model": run.model,
        "dataset": run.data,
        "seed": run.seed,
        "recipe": run.recipe,
        "attempt": run.attempt,
        "step": run.step,
        "epoch": run.epoch,
        "metrics": {
            name: {"last": m.last, "best": m.best, "step": m.last_step, "best_step": m.best_step}
            for name, m in run.metrics.items()
        },
        "checkpoint": paths.get("last"),
        "checkpoints": {kind: {**saved[kind]._asdict(), "path": paths[kind]} for kind in saved},
        "disk_bytes": disk_bytes(run.id, run.key),
        "seconds": run.seconds,
        "params": run.params,
        "device": run.device or run.device_class,
        "hardware": run.hardware,
        "host": run.host,
        "versions": run.versions,
        "fingerprint": run.fingerprint,
        "created": run.created,
        "began": run.began,
        "ended": run.ended,
        "error": run.error,
        "notes": run.notes,
        "tags": run.tags,
    }


def write_summary(database: Database, run_id: int) -> None:
    """Write a run's summary to its folder; errors are ignored, since they must not stop the run."""
    with suppress(OSError, TrackingError):
        run = get_run(database, run_id)
        folder = run_folder(run.id, run.key)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{SUMMARY}.{os.getpid()}.tmp"
        document = report(database, run_id) | {"total_steps": run.total_steps}
        try:
            temporary.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
            temporary.replace(folder / SUMMARY)
        finally:
            temporary.unlink(missing_ok=True)


def to_json(database: Database, run_id: int) -> Iterator[str]:
    """Yield pieces of one JSON document: summary, status history, all metric rows and all records.

    NaN and infinities become null, since JSON cannot represent them; CSV can.

    Raises:
        NoSuchRunError: There is no such run.
    """
    head = {
        **report(database, run_id),
        "history": [change._asdict() for change in history(database, run_id)],
        "metric_columns": COLUMNS,
    }
    yield orjson.dumps(head).decode()[:-1]
    yield ',"metric_rows":['
    for start, rows in _pages(database, run_id):
        yield ("," if start else "") + orjson.dumps([_cells(row) for row in rows]).decode()[1:-1]
    yield '],"records":['
    for start, body in _records(database, run_id):
        yield ("," if start else "") + body
    yield "]}\n"


def to_csv(database: Database, run_id: int) -> Iterator[str]:
    """Yield pieces of a CSV file, one line per metric row, under `COLUMNS`; raise `NoSuchRunError`."""
    yield csv_rows([COLUMNS])
    for _, rows in _pages(database, run_id):
        yield csv_rows(_cells(row) for row in rows)


def _pages(database: Database, run_id: int) -> Iterator[tuple[int, list[Metric]]]:
    cursor, more = 0, True
    while more:
        start = cursor
        page = read_metrics(database, run_id, cursor, _PAGE)
        cursor, more = page.cursor, page.more
        if page.rows:
            yield start, page.rows


def _records(database: Database, run_id: int) -> Iterator[tuple[int, str]]:
    after = 0
    while True:
        query = select(RecordRow).where(RecordRow.run_id == run_id, RecordRow.id > after)
        with database.read() as session:
            rows = session.scalars(query.order_by(RecordRow.id).limit(_RECORDS)).all()
        for row in rows:
            entry = {
                "kind": row.kind, "step": row.step, "epoch": row.epoch, "attempt": row.attempt,
                "time": row.time, "body": orjson.Fragment(row.body),
            }  # fmt: skip
            yield after, orjson.dumps(entry).decode()
            after = row.id
        if len(rows) < _RECORDS:
            return


def _cells(row: Metric) -> tuple[object, ...]:
    return row.name, row.step, row.epoch, row.value, row.attempt, row.time
