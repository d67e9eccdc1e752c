"""Runs are begun, looked after, and their ends recorded; all through the database."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Status
from cnnviz.training.supervisor import supervised
from tests.training.supervisor.making import become, gone, process_of, queue, supervising, until


def test_runs_of_a_device_are_trained_one_after_another_in_their_order(database: Database) -> None:
    runs = [queue(database, "finish") for _ in range(3)]
    with supervising(database):
        for run in runs:
            become(database, run, Status.FINISHED)
    spans = [{change.new: change.time for change in tracking.history(database, run)} for run in runs]
    for earlier, later in pairwise(spans):
        assert earlier[Status.FINISHED] <= later[Status.STARTING]


def test_devices_do_not_wait_for_each_other(database: Database) -> None:
    on_cpu, on_gpu = queue(database, "train"), queue(database, "train", "cuda:0")
    elsewhere = queue(database, "train", "cuda:7")
    with supervising(database):
        become(database, on_cpu, Status.RUNNING)
        become(database, on_gpu, Status.RUNNING)
        for run in (on_cpu, on_gpu):
            tracking.request(database, run, Command.STOP)
            become(database, run, Status.STOPPED)
    assert tracking.get_run(database, elsewhere).status is Status.QUEUED


def test_pause_resume_and_stop_go_through_the_database(database: Database) -> None:
    run = queue(database, "train")
    with supervising(database):
        become(database, run, Status.RUNNING)
        tracking.request(database, run, Command.PAUSE)
        become(database, run, Status.PAUSED)
        tracking.request(database, run, Command.RESUME)
        assert become(database, run, Status.RUNNING).attempt == 2
        tracking.request(database, run, Command.STOP)
        become(database, run, Status.STOPPED)


def test_a_dead_worker_is_noticed_with_its_signal_and_its_run_goes_on(database: Database) -> None:
    run = queue(database, "train")
    with supervising(database):
        become(database, run, Status.RUNNING)
        process_of(database, run).kill()
        ended = become(database, run, Status.INTERRUPTED)
        assert ended.error is not None
        assert "SIGKILL" in ended.error
        tracking.request(database, run, Command.RESUME)
        become(database, run, Status.RUNNING)
        tracking.request(database, run, Command.STOP)
        become(database, run, Status.STOPPED)


@pytest.mark.parametrize(
    ("task", "sentence", "last"),
    [
        ("crash", "Its worker was ended by SIGSEGV.", "about to touch memory that is not ours"),
        (
            "leave",
            "Its worker ended with exit code 1: the kernel module is not loaded",
            "the kernel module is not loaded",
        ),
    ],
)
def test_an_end_of_its_own_is_a_failure_with_last_lines(
    database: Database, task: str, sentence: str, last: str
) -> None:
    run = queue(database, task)
    with supervising(database):
        ended = become(database, run, Status.FAILED)
    assert ended.error == sentence
    assert ended.last_lines is not None
    assert ended.last_lines.strip() == last
    assert not list(tracking.run_folder(run, ended.key).iterdir())


@pytest.mark.parametrize(
    ("command", "status"), [(Command.STOP, Status.STOPPED), (Command.PAUSE, Status.PAUSED)]
)
def test_a_worker_that_prepares_is_ended_when_asked(
    database: Database, command: Command, status: Status
) -> None:
    run = queue(database, "prepare")
    with supervising(database):
        until(lambda: tracking.get_run(database, run).worker_pid is not None, "it has a worker")
        worker = process_of(database, run).pid
        tracking.request(database, run, command)
        assert become(database, run, status).error is None
        assert gone(worker)


def test_a_supervisor_that_comes_later_finds_the_worker(database: Database) -> None:
    run = queue(database, "train")
    with supervising(database):
        become(database, run, Status.RUNNING)
        worker = process_of(database, run)
    assert worker.is_running()
    with supervising(database):
        until(lambda: supervised(database), "the second one is at work")
        waiting = queue(database, "finish")
        step = tracking.get_run(database, run).step
        until(lambda: tracking.get_run(database, run).step > step, "it trains on")
        assert tracking.get_run(database, waiting).status is Status.QUEUED
        worker.send_signal(signal.SIGTERM)
        ended = become(database, run, Status.INTERRUPTED)
        assert (ended.attempt, ended.error) == (1, "Its worker was ended by SIGTERM.")
        become(database, waiting, Status.FINISHED)


def test_an_end_that_nobody_watched_is_found_out(database: Database) -> None:
    run = queue(database, "train")
    with supervising(database):
        become(database, run, Status.RUNNING)
        worker = process_of(database, run)
        keeper = worker.parent()
        assert keeper is not None
    worker.kill()
    until(lambda: gone(keeper.pid), "the keeper has written it down")
    assert tracking.get_run(database, run).status is Status.RUNNING
    with supervising(database):
        ended = become(database, run, Status.INTERRUPTED)
    assert ended.error is not None
    assert "SIGKILL" in ended.error


def test_two_supervisors_begin_no_run_twice(database: Database) -> None:
    runs = [queue(database, "finish") for _ in range(4)]
    with supervising(database), supervising(database):
        for run in runs:
            become(database, run, Status.FINISHED)
    assert [tracking.get_run(database, run).attempt for run in runs] == [1] * 4


def test_who_supervises_is_known(database: Database) -> None:
    assert not supervised(database)
    with supervising(database):
        until(lambda: supervised(database), "it is at work")
    assert not supervised(database)
