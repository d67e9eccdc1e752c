"""The writer: what is logged arrives, in batches; what goes wrong reaches the caller."""

import sqlite3
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from cnnviz import tracking
from cnnviz.tracking import (
    Command,
    Database,
    DatabaseBusyError,
    DatabaseFullError,
    MetricWriter,
    StaleAttemptError,
    Status,
    metrics,
)
from cnnviz.tracking.metrics import append
from tests.tracking.making import begin, resume

SOON = 30.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for `condition()`, at most `SOON` seconds."""
    given_up = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < given_up, what
        threading.Event().wait(0.01)


def test_flush_returns_when_all_is_committed(database: Database) -> None:
    lease = begin(database)
    with MetricWriter(database, lease, every=60, beat=60) as log:
        log.log_all({"train/loss": 0.5, "train/accuracy": 0.1}, step=1, epoch=0.5)
        log.record("confusion", {"matrix": np.zeros((2, 2))}, step=1, epoch=0.5)
        log.flush(SOON)
        run = tracking.get_run(database, lease.run_id)
        assert {name: metric.last for name, metric in run.metrics.items()} == {
            "train/loss": 0.5,
            "train/accuracy": 0.1,
        }
        assert (run.step, run.epoch) == (1, 0.5)
        record = tracking.latest_record(database, lease.run_id, "confusion")
        assert record is not None
        assert record.body == {"matrix": [[0, 0], [0, 0]]}
        log.log("train/loss", 0.25, 2, 1.0)
    assert tracking.get_run(database, lease.run_id).metrics["train/loss"].last == 0.25


def test_rows_arrive_without_being_asked_for(database: Database) -> None:
    lease = begin(database)
    with MetricWriter(database, lease, every=0.01) as log:
        log.log("loss", 1.0, 0)
        until(lambda: tracking.get_run(database, lease.run_id).metrics, "the row did not arrive")


def test_a_worker_that_logs_nothing_gives_signs_of_life(database: Database) -> None:
    lease = begin(database)
    born = tracking.get_run(database, lease.run_id).heartbeat or 0.0
    with MetricWriter(database, lease, every=0.01, beat=0.05) as log:
        log.progress(7, 0.7)
        until(lambda: (tracking.get_run(database, lease.run_id).heartbeat or 0.0) > born, "no sign of life")
    assert tracking.get_run(database, lease.run_id).step == 7


def test_a_command_reaches_the_worker(database: Database) -> None:
    lease = begin(database)
    with MetricWriter(database, lease, every=0.01, beat=0.01) as log:
        assert log.command is None
        tracking.request(database, lease.run_id, Command.STOP)
        until(lambda: log.command is Command.STOP, "the command did not arrive")


def test_many_rows_are_written_in_several_transactions(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counted(*arguments: object) -> object:
        sizes.append(len(arguments[2]))  # type: ignore[arg-type]
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(metrics, "append", counted)
    lease = begin(sqlite)
    with MetricWriter(sqlite, lease, every=60, beat=60) as log:
        for step in range(12_000):
            log.log("loss", step, step)
    # How many rows wait when the writer's thread wakes is the machine's affair; 5,000 are the most at once.
    assert sum(sizes) == 12_000
    assert len(sizes) >= 3
    assert max(sizes) <= 5_000
    assert tracking.get_run(sqlite, lease.run_id).metrics["loss"].rows == 12_000


def test_steps_that_do_not_rise_are_refused_where_they_are_logged(sqlite: Database) -> None:
    with MetricWriter(sqlite, begin(sqlite)) as log:
        log.log("loss", 1.0, 3)
        with pytest.raises(ValueError, match="logged at step 3 and then at step 3"):
            log.log("loss", 1.0, 3)
        with pytest.raises(ValueError, match="steps begin at 0"):
            log.log("other", 1.0, -1)
        with pytest.raises(ValueError, match="JSON can hold"):
            log.record("kind", object(), 1)


def test_a_stale_worker_hears_of_it_at_once(database: Database) -> None:
    old = begin(database)
    log = MetricWriter(database, old, every=60, beat=60)
    log.log("loss", 1.0, 0)
    new = resume(database, old, from_step=-1)
    with pytest.raises(StaleAttemptError):
        log.flush(SOON)
    calls: list[Callable[[], object]] = [
        lambda: log.log("loss", 1.0, 1),
        lambda: log.record("k", {}, 1),
        lambda: log.command,
        log.close,
    ]
    for call in calls:
        with pytest.raises(StaleAttemptError):
            call()
    assert tracking.read_metrics(database, new.run_id).rows == []


def test_a_block_that_raises_keeps_its_own_error_and_what_was_logged(sqlite: Database) -> None:
    lease = begin(sqlite)

    def train(step: int, ended: bool) -> None:
        with MetricWriter(sqlite, lease, every=60, beat=60) as log:
            log.log("loss", 1.0, step)
            if ended:
                tracking.end(sqlite, lease, Status.FAILED)
            raise ZeroDivisionError

    for step, ended in enumerate((False, True)):
        with pytest.raises(ZeroDivisionError):
            train(step, ended)
    assert [row.step for row in tracking.read_metrics(sqlite, lease.run_id).rows] == [0]


def locked(database: Database) -> sqlite3.Connection:
    connection = sqlite3.connect(str(database.url.database), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_locked_database_is_tried_again(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = begin(sqlite)
    tries = threading.Semaphore(0)

    def impatient(*arguments: object) -> object:
        with sqlite.read() as session:
            session.connection().exec_driver_sql("PRAGMA busy_timeout = 1")
        tries.release()
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(metrics, "append", impatient)
    other = locked(sqlite)
    with MetricWriter(sqlite, lease, every=0.01, patience=SOON) as log:
        log.log("loss", 1.0, 0)
        for _ in range(3):
            assert tries.acquire(timeout=SOON)
        other.execute("ROLLBACK")
        log.flush(SOON)
        assert len(tracking.read_metrics(sqlite, lease.run_id).rows) == 1
    other.close()


def test_patience_ends(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise DatabaseBusyError("busy")

    lease = begin(sqlite)
    monkeypatch.setattr(metrics, "append", busy)
    log = MetricWriter(sqlite, lease, every=0.01, patience=0.0)
    with pytest.raises(DatabaseBusyError):
        log.flush(SOON)
    waiting = MetricWriter(sqlite, lease, patience=SOON)
    with pytest.raises(DatabaseBusyError, match=r"could not be written within 0.01 s"):
        waiting.flush(0.01)
    monkeypatch.undo()
    waiting.close()


def test_a_full_disk_reaches_the_worker(sqlite: Database) -> None:
    lease = begin(sqlite)
    with sqlite.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    log = MetricWriter(sqlite, lease, every=60, beat=60)
    log.record("large", "x" * 100_000, 0)
    with pytest.raises(DatabaseFullError, match="no space left"):
        log.close()


def test_what_waits_is_bounded(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_WAITING", 3)
    with MetricWriter(sqlite, begin(sqlite), every=60, beat=60) as log:
        for step in range(3):
            log.log("loss", 1.0, step)
        with pytest.raises(DatabaseBusyError, match="3 values wait"):
            log.log("loss", 1.0, 3)
