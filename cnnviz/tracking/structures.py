"""What is larger than a number, kept as JSON: layer statistics, confusion matrices, predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from cnnviz.sentences import full_stop
from cnnviz.tracking.database import Database
from cnnviz.tracking.records import Record
from cnnviz.tracking.tables import RecordRow

LARGEST_RECORD = 16 * 2**20


class Structure(NamedTuple):
    """One structured record on its way to the database, encoded already."""

    kind: str
    step: int
    epoch: float
    body: str
    time: float


def encode(body: Any) -> str:
    """JSON of dicts, lists, numbers, strings and numpy arrays; what is not a number becomes null.

    Raises `ValueError` for anything else and for more than 16 MiB.
    """
    try:
        found = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ValueError(
            full_stop(f"A record holds what JSON can hold, and numpy arrays: {error}")
        ) from error
    if len(found) > LARGEST_RECORD:
        raise ValueError(f"A record has at most {LARGEST_RECORD:,} bytes, not {len(found):,}.")
    return found.decode()


def read_records(
    database: Database, run_id: int, kind: str, after_id: int = 0, limit: int = 1000
) -> list[Record]:
    """The records of a kind after a cursor (the `id` of the last one seen), oldest first.

    A resumed run deletes records as it deletes metric rows; see `read_metrics`.
    """
    query = (
        select(RecordRow)
        .where(RecordRow.run_id == run_id, RecordRow.kind == kind, RecordRow.id > after_id)
        .order_by(RecordRow.id)
        .limit(limit)
    )
    with database.read() as session:
        return [_record(row) for row in session.scalars(query).all()]


def latest_record(database: Database, run_id: int, kind: str) -> Record | None:
    """The newest record of a kind, if there is one."""
    newest = select(RecordRow).where(RecordRow.run_id == run_id, RecordRow.kind == kind)
    with database.read() as session:
        row = session.scalar(newest.order_by(RecordRow.id.desc()).limit(1))
        return None if row is None else _record(row)


def _record(row: RecordRow) -> Record:
    return Record(row.id, row.kind, row.attempt, row.step, row.epoch, orjson.loads(row.body), row.time)
