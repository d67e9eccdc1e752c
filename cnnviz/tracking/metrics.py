"""Metric rows: appended by one worker in batches, read with a cursor by anybody."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cnnviz.tracking.change import held
from cnnviz.tracking.commands import take_command
from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import NoSuchRunError
from cnnviz.tracking.records import Lease, Metric, MetricPage, MetricSummary, Restart, number
from cnnviz.tracking.states import Command
from cnnviz.tracking.structures import Structure
from cnnviz.tracking.tables import AttemptRow, MetricRow, RecordRow, RunRow, SeriesRow

MOST_ROWS = 50_000


class Value(NamedTuple):
    """One value on its way to the database; `time` is when it was logged."""

    name: str
    step: int
    epoch: float
    value: float
    time: float


def append(
    database: Database,
    lease: Lease,
    values: Sequence[Value] = (),
    structures: Sequence[Structure] = (),
    position: tuple[int, float] | None = None,
) -> Command | None:
    """Write a batch, a sign of life and the progress in one transaction; return what a page asks for.

    Args:
        database: The run database.
        lease: Of the worker.
        values: Metric values; the steps of a name rise strictly, over all batches.
        structures: Records.
        position: Step and epoch that the run has reached; None leaves them.

    Raises `StaleAttemptError`, and `ValueError` where a step does not rise.
    """
    with database.write() as session:
        run = held(session, lease)
        run.heartbeat = time.time()
        if position is not None:
            run.step, run.epoch = position
        if values:
            ids = _summarise(session, lease.run_id, values)
            rows = [_row(lease, ids[value.name], value) for value in values]
            session.connection().execute(insert(MetricRow), rows)
        if structures:
            session.execute(
                insert(RecordRow),
                [{"run_id": lease.run_id, "attempt": lease.attempt, **s._asdict()} for s in structures],
            )
        return take_command(session, lease.run_id)


def read_metrics(database: Database, run_id: int, after_id: int = 0, limit: int = MOST_ROWS) -> MetricPage:
    """The rows of a run that a reader has not seen, oldest first.

    What comes back costs what is new. A reader that goes on with `cursor` sees every row once, and drops the
    rows it holds whose step is later than `void_after` says for their attempt. `Curves` does all that.

    Args:
        database: The run database.
        run_id: The run.
        after_id: `cursor` of the last page, 0 at first.
        limit: Rows at once, at most 50,000: a reader holds up the writer.

    Raises `NoSuchRunError`.
    """
    wanted = min(limit, MOST_ROWS)
    columns = (
        MetricRow.id, MetricRow.attempt, MetricRow.step, MetricRow.epoch, MetricRow.series_id,
        MetricRow.value, MetricRow.time,
    )  # fmt: skip
    fresh = select(*columns).where(MetricRow.run_id == run_id, MetricRow.id > after_id)
    with database.read() as session:
        restarts = read_restarts(session, run_id)
        # Past the Session, which would look at every row once more.
        found = session.connection().execute(fresh.order_by(MetricRow.id).limit(wanted)).all()
        names = _names(session, run_id) if found else {}
    rows = [
        Metric(id_, attempt, step, epoch, names[series], number(value), when)
        for id_, attempt, step, epoch, series, value, when in found
    ]
    return MetricPage(rows, rows[-1].id if rows else after_id, restarts, len(rows) == wanted)


def void_after(restarts: Sequence[Restart], attempt: int) -> float:
    """The step after which rows of `attempt` are void; infinite where no later attempt has begun."""
    return min((restart.from_step for restart in restarts if restart.attempt > attempt), default=math.inf)


def read_restarts(session: Session, run_id: int) -> tuple[Restart, ...]:
    """Every beginning of a run, oldest first; raises `NoSuchRunError`."""
    query = select(AttemptRow.number, AttemptRow.from_step).where(AttemptRow.run_id == run_id)
    found = tuple(Restart(*row) for row in session.execute(query.order_by(AttemptRow.number)))
    if not found and session.get(RunRow, run_id) is None:
        raise NoSuchRunError(f"There is no run {run_id}.")
    return found


def summaries(
    session: Session, run_ids: Any, names: Sequence[str] | None = None
) -> dict[int, dict[str, MetricSummary]]:
    """`{run: {name: MetricSummary}}` of all runs asked for (ids or a query of them), in one query."""
    query = select(
        SeriesRow.run_id, SeriesRow.name, SeriesRow.count, SeriesRow.last, SeriesRow.last_step,
        SeriesRow.low, SeriesRow.low_step, SeriesRow.high, SeriesRow.high_step,
    ).where(SeriesRow.run_id.in_(run_ids)).order_by(SeriesRow.id)  # fmt: skip
    if names is not None:
        query = query.where(SeriesRow.name.in_(names))
    found: dict[int, dict[str, MetricSummary]] = {}
    for row in session.connection().execute(query):
        summary = MetricSummary._make(row[1:])
        found.setdefault(row[0], {})[summary.name] = summary
    return found


def _names(session: Session, run_id: int) -> dict[int, str]:
    found = session.execute(select(SeriesRow.id, SeriesRow.name).where(SeriesRow.run_id == run_id))
    return {row.id: row.name for row in found}


def _row(lease: Lease, series_id: int, value: Value) -> dict[str, Any]:
    return {
        "run_id": lease.run_id,
        "series_id": series_id,
        "attempt": lease.attempt,
        "step": value.step,
        "epoch": value.epoch,
        "value": None if math.isnan(value.value) else value.value,
        "time": value.time,
    }


def _summarise(session: Session, run_id: int, values: Sequence[Value]) -> dict[str, int]:
    """Bring the summary of each name up to date and return `{name: series id}`."""
    batches: dict[str, list[Value]] = {}
    for value in values:
        batches.setdefault(value.name, []).append(value)
    known = select(SeriesRow).where(SeriesRow.run_id == run_id, SeriesRow.name.in_(batches))
    series = {row.name: row for row in session.scalars(known)}
    for name, batch in batches.items():
        if name not in series:
            series[name] = SeriesRow(run_id=run_id, name=name, count=0, last_step=-1)
            session.add(series[name])
        _extend(series[name], batch)
    session.flush()
    return {name: row.id for name, row in series.items()}


def _extend(series: SeriesRow, batch: list[Value]) -> None:
    for value in batch:
        if value.step <= series.last_step:
            raise ValueError(
                f"{value.name} was logged at step {series.last_step} and then at step {value.step}; "
                "steps rise."
            )
        series.last_step = value.step
        if not math.isnan(value.value):
            if series.low is None or value.value < series.low:
                series.low, series.low_step = value.value, value.step
            if series.high is None or value.value > series.high:
                series.high, series.high_step = value.value, value.step
    series.count += len(batch)
    series.last = None if math.isnan(batch[-1].value) else batch[-1].value
