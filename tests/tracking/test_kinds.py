"""Runs that are not trained here: never in the queue, never claimed, paused, resumed or killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from cnnviz import tracking
from cnnviz.tracking import (
    Command,
    Database,
    Kind,
    Lease,
    MetricWriter,
    RunFacts,
    Status,
    WrongStateError,
)
from cnnviz.tracking import database as opening
from cnnviz.training.estimate import place_in_queue
from cnnviz.training.workers import process_id, reconcile
from tests.tracking.making import begin, claim, create


def watched(database: Database, process: tuple[int, float] | None = None) -> Lease:
    own = os.getpid(), process_id.started(os.getpid())
    return tracking.create_external_run(
        database, Kind.WATCHED, model="Net", dataset="my images", process=process or own
    )


def test_an_old_database_s_runs_are_trained_ones(address: str) -> None:
    database = Database(opening.address(address))
    opening.upgrade(database, "0002")
    with database.write() as session:
        session.execute(text(
            "INSERT INTO runs (key, name, status, recipe, model, dataset, seed, device, attempt, step, epoch,"
            " created, queued, earlier_seconds, notes, tags) VALUES"
            " ('abc', 'old', 'queued', '{}', 'lenet5', 'digits', 0, 'cpu', 0, 0, 0, 1, 1, 0, '', '[]')"
        ))  # fmt: skip
    opening.upgrade(database)
    (run,) = tracking.list_runs(database)
    assert (run.kind, run.trained, run.name) == (Kind.TRAINED, True, "old")
    assert tracking.claim(database, "cpu") is not None
    database.close()


def test_a_watched_run_begins_at_once_and_takes_what_is_logged(database: Database) -> None:
    lease = watched(database)
    with MetricWriter(database, lease) as writer:
        writer.log("train/loss", 2.3, 1)
    tracking.describe_run(database, lease, RunFacts(params=10), {"lr": 0.1})
    tracking.end(database, lease, Status.FINISHED)
    run = tracking.get_run(database, lease.run_id)
    assert (run.kind, run.status, run.params, run.recipe) == (Kind.WATCHED, Status.FINISHED, 10, {"lr": 0.1})
    assert run.metrics["train/loss"].last == 2.3
    assert not run.resumable
    with pytest.raises(ValueError, match="waits in the queue"):
        tracking.create_external_run(database, Kind.TRAINED, model="Net", dataset="my images")


def test_it_holds_no_device_and_is_in_no_queue(database: Database) -> None:
    host = tracking.get_run(database, watched(database).run_id).host
    assert host is not None
    waiting = create(database)
    assert place_in_queue(database, waiting).training == ()
    assert claim(database, host=host).run_id == waiting.id
    assert watched(database).run_id != waiting.id  # beside the run that has the device
    assert tracking.claim(database, "cpu", host, only=1) is None


def test_stopping_is_a_request_and_nothing_else_is_possible(database: Database) -> None:
    lease = watched(database)
    for command in (Command.PAUSE, Command.RESUME):
        with pytest.raises(WrongStateError, match="a process of its own; it can be asked to stop"):
            tracking.request(database, lease.run_id, command)
    assert tracking.request(database, lease.run_id, Command.STOP) is Status.STOPPING
    with MetricWriter(database, lease) as writer:
        writer.flush()
        assert writer.command is Command.STOP
    tracking.end(database, lease, Status.STOPPED)
    with pytest.raises(WrongStateError, match="a process of its own"):
        tracking.request(database, lease.run_id, Command.RESUME)


def test_an_imported_run_cannot_be_stopped(database: Database) -> None:
    lease = tracking.create_external_run(database, Kind.IMPORTED, model="Net", dataset="log.csv")
    with pytest.raises(WrongStateError, match="a history that was imported"):
        tracking.request(database, lease.run_id, Command.STOP)


def test_a_dead_process_is_noticed_and_a_living_one_is_never_killed(sqlite: Database) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    lease = watched(sqlite, (child.pid, process_id.started(child.pid)))
    ours = begin(sqlite)
    tracking.request(sqlite, lease.run_id, Command.STOP)
    with sqlite.write() as session:  # silent for long: a worker of ours would be killed
        session.execute(text("UPDATE runs SET heartbeat = :then WHERE id = :run"),
                        {"then": time.time() - 300, "run": lease.run_id})  # fmt: skip
    from cnnviz.training.workers.launcher import LocalLauncher
    from cnnviz.training.workers.supervisor import RunMonitor

    watch = RunMonitor(sqlite, LocalLauncher())
    watch.look([run for run in tracking.list_runs(sqlite) if run.id == lease.run_id])
    assert child.poll() is None
    assert tracking.get_run(sqlite, lease.run_id).status is Status.STOPPING
    child.communicate(b"")
    assert reconcile(sqlite, wait=False) == [lease.run_id]
    run = tracking.get_run(sqlite, lease.run_id)
    assert (run.status, run.error) == (Status.INTERRUPTED, "Its process ended without finishing the run.")
    assert tracking.get_run(sqlite, ours.run_id).status is Status.RUNNING
