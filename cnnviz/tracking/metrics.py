"""Metric rows: appended in batches by one worker, read incrementally with a cursor."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cnnviz.tracking.commands import require_lease, take_command
from cnnviz.tracking.database import Database, DatabaseBusyError, NoSuchRunError, TrackingError
from cnnviz.tracking.records import (
    Command,
    EncodedRecord,
    Lease,
    Metric,
    MetricPage,
    MetricSummaries,
    Restart,
    encode,
    nan_if_none,
)
from cnnviz.tracking.tables import AttemptRow, MetricRow, RecordRow, RunRow, SeriesRow

MAX_ROWS = 50_000
BLOCK = 200
"""Rows fetched at once by long queries: few enough that the garbage collector never sees a block twice."""


class Value(NamedTuple):
    """A metric value that waits to be written; `time` is the time of logging."""

    name: str
    step: int
    epoch: float
    value: float
    time: float


def append(
    database: Database,
    lease: Lease,
    values: Sequence[Value] = (),
    structures: Sequence[EncodedRecord] = (),
    position: tuple[int, float] | None = None,
) -> Command | None:
    """Write a batch, the heartbeat and the progress in one transaction; return a pending command.

    Args:
        database: The run database.
        lease: The worker's lease.
        values: Metric values; the steps of each name increase strictly, across batches too.
        structures: Records.
        position: Step and epoch reached by the run; None leaves them.

    Raises:
        StaleAttemptError: The lease is no longer valid.
        ValueError: A step does not increase.
    """
    with database.write() as session:
        run = require_lease(session, lease)
        run.heartbeat = time.time()
        if position is not None:
            run.step, run.epoch = position
        append_values(session, lease, values)
        if structures:
            session.execute(
                insert(RecordRow),
                [{"run_id": lease.run_id, "attempt": lease.attempt, **s._asdict()} for s in structures],
            )
        return take_command(session, lease.run_id)


def append_values(session: Session, lease: Lease, values: Sequence[Value]) -> None:
    """Write values and update the summary of each name; raise `ValueError` if a step does not increase."""
    if values:
        ids = _summarise(session, lease.run_id, values)
        rows = [_row(lease, ids[value.name], value) for value in values]
        session.connection().execute(insert(MetricRow), rows)


def read_metrics(database: Database, run_id: int, after_id: int = 0, limit: int = MAX_ROWS) -> MetricPage:
    """Return the metric rows of a run after a cursor, oldest first.

    The cost is proportional to the new rows. A reader that continues with the returned cursor sees every row
    once, and must drop the rows it holds whose step is beyond `void_after` of their attempt. `Curves` does
    this.

    Args:
        database: The run database.
        run_id: The run.
        after_id: `cursor` of the last page, 0 at first.
        limit: Rows per page, at most 50,000: a long read delays the writer.

    Raises:
        NoSuchRunError: There is no such run.
    """
    size = min(limit, MAX_ROWS)
    columns = (
        MetricRow.id, MetricRow.attempt, MetricRow.step, MetricRow.epoch, MetricRow.series_id,
        MetricRow.value, MetricRow.time,
    )  # fmt: skip
    fresh = select(*columns).where(MetricRow.run_id == run_id, MetricRow.id > after_id)
    with database.read() as session:
        restarts = read_restarts(session, run_id)
        # On the connection: the Session would process every row a second time.
        fetched = session.connection().execute(fresh.order_by(MetricRow.id).limit(size)).all()
        names = _names(session, run_id) if fetched else {}
    rows = [
        Metric(id_, attempt, step, epoch, names[series], nan_if_none(value), when)
        for id_, attempt, step, epoch, series, value, when in fetched
    ]
    return MetricPage(rows, rows[-1].id if rows else after_id, restarts, len(rows) == size)


def void_after(restarts: Sequence[Restart], attempt: int) -> float:
    """Return the step beyond which rows of `attempt` are void; infinity without a later attempt."""
    return min((restart.from_step for restart in restarts if restart.attempt > attempt), default=math.inf)


def read_restarts(session: Session, run_id: int) -> tuple[Restart, ...]:
    """Return all attempts of a run with their first step, oldest first; raise `NoSuchRunError`."""
    query = select(AttemptRow.number, AttemptRow.from_step).where(AttemptRow.run_id == run_id)
    restarts = tuple(Restart(*row) for row in session.execute(query.order_by(AttemptRow.number)))
    if not restarts and session.get(RunRow, run_id) is None:
        raise NoSuchRunError(f"There is no run {run_id}.")
    return restarts


def summaries(
    session: Session, run_ids: Any, names: Sequence[str] | None = None
) -> defaultdict[int, MetricSummaries]:
    """Return `{run: {name: MetricSummary}}` of runs, given by ids or a subquery, in one query.

    A run without metrics has none.
    """
    query = select(
        SeriesRow.run_id, SeriesRow.name, SeriesRow.count, SeriesRow.last, SeriesRow.last_step,
        SeriesRow.low, SeriesRow.low_step, SeriesRow.high, SeriesRow.high_step,
    ).where(SeriesRow.run_id.in_(run_ids)).order_by(SeriesRow.id)  # fmt: skip
    if names is not None:
        query = query.where(SeriesRow.name.in_(names))
    by_run: defaultdict[int, MetricSummaries] = defaultdict(MetricSummaries)
    # From the driver's cursor: SQLAlchemy would wrap each of 80,000 rows in an object, and none needs a type.
    with session.connection().execute(query) as result:
        assert result.cursor is not None
        while rows := result.cursor.fetchmany(BLOCK):
            for row in rows:
                by_run[row[0]].add(row)
    return by_run


def _names(session: Session, run_id: int) -> dict[int, str]:
    rows = session.execute(select(SeriesRow.id, SeriesRow.name).where(SeriesRow.run_id == run_id))
    return {row.id: row.name for row in rows}


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
    """Update the summary of each name and return `{name: series id}`."""
    batches: dict[str, list[Value]] = {}
    for value in values:
        batches.setdefault(value.name, []).append(value)
    query = select(SeriesRow).where(SeriesRow.run_id == run_id, SeriesRow.name.in_(batches))
    series = {row.name: row for row in session.scalars(query)}
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


# The worker's logger: the training thread appends to a deque, another thread writes it to the database.

MAX_WAITING = 1_000_000
_BATCH = 5_000
_RETRY = 0.05


class MetricWriter:
    """Buffered metric logger of a worker: writes metrics, records and heartbeats, and receives commands.

    A thread writes the buffer every `every` seconds, one transaction per batch, and a heartbeat every `beat`
    seconds if nothing was logged. An error of that thread is raised by the next call of any method:
    `StaleAttemptError` if the lease is no longer valid, `DatabaseFullError`, `DatabaseUnavailableError`.
    Writes to a locked database are retried for `patience` seconds.

    Use it as a context manager: leaving the block writes the rest of the buffer, whether or not it raised.

    Args:
        database: The run database.
        lease: The worker's lease, after `begin`.
        every: Seconds between batches.
        beat: Seconds between heartbeats.
        patience: Seconds after which a locked database is an error.
    """

    def __init__(
        self, database: Database, lease: Lease, every: float = 0.15, beat: float = 1.0, patience: float = 60.0
    ) -> None:
        self.lease = lease
        self._database = database
        self._every, self._beat, self._patience = every, beat, patience
        self._waiting: deque[Value | EncodedRecord] = deque()
        self._steps: dict[str, int] = {}
        self._position: tuple[int, float] | None = None
        self._command: Command | None = None
        self._error: BaseException | None = None
        self._wake = threading.Condition()
        self._asked = self._done = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"metrics of run {lease.run_id}", daemon=True)
        self._thread.start()

    def log(self, name: str, value: float, step: int, epoch: float = 0.0) -> None:
        """Log one value; takes microseconds.

        Args:
            name: Such as `train/loss`; at most 200 characters.
            value: A number; NaN and infinities are stored.
            step: Number of optimizer steps. The steps of a name increase strictly: one value per step.
            epoch: Number of epochs, as a fraction.

        Raises:
            ValueError: The step does not increase.
            TrackingError: The writing thread has failed.
        """
        if self._error is not None:
            raise self._error
        if step <= self._steps.get(name, -1):
            raise ValueError(
                f"{name} was logged at step {self._steps[name]} and then at step {step}; steps rise."
                if name in self._steps
                else f"{name} was logged at step {step}; steps begin at 0."
            )
        if len(self._waiting) >= MAX_WAITING:
            raise DatabaseBusyError(
                f"The run database cannot keep up: {MAX_WAITING:,} values wait to be written."
            )
        self._steps[name] = step
        self._waiting.append(Value(name, step, epoch, float(value), time.time()))
        self._position = (step, epoch)

    def log_all(self, values: Mapping[str, float], step: int, epoch: float = 0.0) -> None:
        """Log several values of one step; see `log`."""
        for name, value in values.items():
            self.log(name, value, step, epoch)

    def record(self, kind: str, body: Any, step: int, epoch: float = 0.0) -> None:
        """Log a structured record: dicts, lists, strings, numbers, numpy arrays.

        Raises:
            ValueError: The record cannot be encoded as JSON, or is larger than 16 MiB.
            TrackingError: The writing thread has failed.
        """
        if self._error is not None:
            raise self._error
        self._waiting.append(EncodedRecord(kind, step, epoch, encode(body), time.time()))
        self._position = (step, epoch)

    def progress(self, step: int, epoch: float = 0.0) -> None:
        """Set the run's progress without logging a value; written with the next batch."""
        self._position = (step, epoch)

    @property
    def command(self) -> Command | None:
        """Pending command of a page (`stop` or `pause`), or None; cheap enough to read in every step.

        Raises:
            TrackingError: The writing thread has failed.
        """
        if self._error is not None:
            raise self._error
        return self._command

    def flush(self, timeout: float = math.inf) -> None:
        """Block until everything logged before this call is committed; call before saving a checkpoint.

        Args:
            timeout: In seconds.

        Raises:
            DatabaseBusyError: The timeout has passed.
            TrackingError: The writing thread has failed.
        """
        with self._wake:
            self._asked += 1
            number = self._asked
            self._wake.notify_all()
            self._wake.wait_for(
                lambda: self._done >= number or not self._thread.is_alive() or self._error is not None,
                None if math.isinf(timeout) else timeout,
            )
            if self._error is not None:
                raise self._error
            if self._done < number:
                raise DatabaseBusyError(f"What was logged could not be written within {timeout:g} s.")

    def close(self) -> None:
        """Write the rest of the buffer and stop the thread; raise its error. Closing twice is allowed."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except TrackingError:
            if kind is None:
                raise

    def _work(self) -> None:
        written = time.monotonic()
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._closing or self._asked > self._done, self._every)
                    asked, closing = self._asked, self._closing
                if self._waiting or asked > self._done or time.monotonic() - written >= self._beat:
                    self._write_waiting()
                    written = time.monotonic()
                with self._wake:
                    self._done = asked
                    self._wake.notify_all()
                if closing and not self._waiting:
                    return
        except BaseException as error:
            with self._wake:
                self._error = error
                self._wake.notify_all()

    def _write_waiting(self) -> None:
        """Write the buffer in batches; only a heartbeat if it is empty."""
        remaining = len(self._waiting)
        while True:
            position, batch = self._position, [self._waiting.popleft() for _ in range(min(remaining, _BATCH))]
            remaining -= len(batch)
            self._write(batch, position)
            if not remaining:
                return

    def _write(self, batch: list[Value | EncodedRecord], position: tuple[int, float] | None) -> None:
        values = [entry for entry in batch if isinstance(entry, Value)]
        structures = [entry for entry in batch if isinstance(entry, EncodedRecord)]
        deadline = time.monotonic() + self._patience
        while True:
            try:
                command = append(self._database, self.lease, values, structures, position)
            except DatabaseBusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY)
                continue
            self._command = self._command if command is None else command
            return
