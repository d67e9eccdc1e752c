"""Runs are begun, looked after, and their ends recorded; all through the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import update

from cnnviz import tracking
from cnnviz.tracking import Command, Database, RunSummary, Status
from cnnviz.tracking.lifecycle import MAX_TRIES
from cnnviz.tracking.tables import RunRow
from cnnviz.training.workers import Ending, Supervisor, is_supervised, process_id
from cnnviz.training.workers.launcher import NO_DATABASE, NO_ROOM, LocalWorker
from cnnviz.training.workers.supervisor import (
    ELSEWHERE_SECONDS,
    NO_WORKER_SECONDS,
    PARENT_SECONDS,
    SILENT_SECONDS,
    RunMonitor,
)
from tests.training.workers.making import SOON, become, gone, process_of, queue, supervising, until


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
        until(lambda: is_supervised(database), "the second one is at work")
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
        parent = worker.parent()
        assert parent is not None
    worker.kill()
    until(lambda: gone(parent.pid), "the parent process has written it down")
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
    assert not is_supervised(database)
    with supervising(database):
        until(lambda: is_supervised(database), "it is at work")
    assert not is_supervised(database)


# What becomes of runs whose worker is missing, silent, elsewhere, or whose number another process has.

HERE, NO_PROCESS = "here", 2**22 + 1


class Machine:
    """A launcher whose workers live, or not, as a test wants it."""

    def __init__(self, alive: bool = True, ending: Ending | None = None) -> None:
        self.alive, self.told, self.killed = alive, ending, 0

    is_remote = False

    def host(self) -> str:
        return HERE

    def ranks_per_slot(self) -> int:
        return 1

    def devices(self) -> frozenset[str]:
        return frozenset()

    def all_devices(self) -> frozenset[str]:
        return frozenset()

    def worker(self) -> LocalWorker:
        raise OSError

    def is_alive(self, run: RunSummary) -> bool:
        return self.alive

    def ending(self, run: RunSummary) -> Ending | None:
        return self.told

    def forget(self, run: RunSummary) -> None:
        self.told = None

    def kill(self, run: RunSummary) -> None:
        self.killed += 1
        self.alive, self.told = False, Ending(-9, "")

    def maintain(self, wanted: frozenset[str]) -> None: ...

    def close(self) -> None: ...


def look(database: Database, machine: Machine) -> RunMonitor:
    watch = RunMonitor(database, machine, HERE)
    watch.look(tracking.list_runs(database, statuses=tracking.ACTIVE))
    return watch


def begun(database: Database, status: Status = Status.RUNNING, with_worker: bool = True) -> int:
    """A run that a worker has, or should have."""
    run = queue(database, "train")
    lease = tracking.claim(database, "cpu", HERE)
    assert lease is not None
    if with_worker:
        tracking.attach(database, lease, NO_PROCESS, 0.0)
    if status is not Status.STARTING:
        tracking.begin(database, lease)
    if status is Status.STOPPING:
        tracking.request(database, run, Command.STOP)
    return run


def silence(database: Database, run: int, seconds: float) -> None:
    """Move its last sign of life back."""
    with database.write() as session:
        session.execute(update(RunRow).where(RunRow.id == run).values(heartbeat=RunRow.heartbeat - seconds))


def state(database: Database, run: int) -> tuple[Status, str | None]:
    found = tracking.get_run(database, run)
    return found.status, found.error


def test_a_run_whose_worker_never_came_goes_on_by_itself_three_times(database: Database) -> None:
    run = begun(database, Status.STARTING, with_worker=False)
    look(database, Machine())
    assert state(database, run) == (Status.STARTING, None)
    for tries in range(1, MAX_TRIES + 1):
        silence(database, run, NO_WORKER_SECONDS)
        look(database, Machine())
        assert state(database, run) == (Status.QUEUED, None)
        assert tracking.get_run(database, run).tries == tries
        assert tracking.history(database, run)[-1].reason == "No worker came for it."
        assert tracking.claim(database, "cpu", "another machine") is not None, "nothing of it lies here"
        with database.write() as session:
            session.execute(update(RunRow).where(RunRow.id == run).values(host=HERE))
    silence(database, run, NO_WORKER_SECONDS)
    look(database, Machine())
    assert state(database, run) == (Status.INTERRUPTED, "No worker came for it.")


def test_a_worker_that_never_came_for_a_run_that_was_asked_to_stop(database: Database) -> None:
    run = begun(database, Status.STARTING, with_worker=False)
    tracking.request(database, run, Command.STOP)
    silence(database, run, NO_WORKER_SECONDS)
    look(database, Machine())
    assert state(database, run)[0] is Status.STOPPED


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_run_elsewhere_is_left_alone_until_nothing_was_heard_for_long(
    database: Database, has_checkpoint: bool
) -> None:
    run = begun(database)
    if has_checkpoint:
        tracking.add_checkpoint(database, tracking.Lease(run, 1), "last", "last.safetensors", 9, 2.0, 1)
    dead = Machine(alive=False, ending=Ending(-9, ""))
    watch = RunMonitor(database, dead, "another machine")
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.RUNNING, None)
    silence(database, run, ELSEWHERE_SECONDS)
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.QUEUED, None)
    heard = tracking.history(database, run)[-1].reason
    assert heard == f"Nothing was heard of {HERE}, where it trained."
    lease = tracking.claim(database, "cpu", "another machine")
    assert (lease is None) == has_checkpoint, "what lies on a machine alone waits for it"
    if has_checkpoint:
        assert tracking.claim(database, "cpu", HERE) == tracking.Lease(run, 2)


def test_a_worker_that_lives_but_is_silent_is_left_alone(database: Database) -> None:
    run, machine = begun(database), Machine()
    silence(database, run, 10 * ELSEWHERE_SECONDS)
    look(database, machine)
    assert state(database, run) == (Status.RUNNING, None)
    assert machine.killed == 0


def test_a_silent_worker_that_was_asked_to_stop_is_killed(database: Database) -> None:
    run, machine = begun(database, Status.STOPPING), Machine()
    look(database, machine)
    assert machine.killed == 0
    silence(database, run, SILENT_SECONDS)
    watch = look(database, machine)
    assert machine.killed == 1
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.STOPPED, None)


def test_a_worker_that_dies_while_it_stops_has_stopped(database: Database) -> None:
    run = begun(database, Status.STOPPING)
    look(database, Machine(alive=False, ending=Ending(-15, "")))
    assert state(database, run) == (Status.STOPPED, "Its worker was ended by SIGTERM.")


@pytest.mark.parametrize(
    ("launched", "after"),
    [(False, (Status.INTERRUPTED, "Its worker ended, and nobody saw how.")), (True, (Status.QUEUED, None))],
    ids=["in the foreground", "of a supervisor"],
)
def test_an_end_that_was_not_written_down(
    database: Database, monkeypatch: pytest.MonkeyPatch, launched: bool, after: tuple[Status, str | None]
) -> None:
    """As when a machine restarts: the run of a supervisor goes on, one in the foreground is its user's."""
    run, dead = begun(database), Machine(alive=False)
    if launched:
        handle = {"kind": "process", "host": HERE, "pid": NO_PROCESS, "started": 0.0, "launched": True}
        tracking.attach(database, tracking.Lease(run, 1), worker=handle)
    watch = look(database, dead)
    assert state(database, run) == (Status.RUNNING, None), "its parent process may still be writing"
    monkeypatch.setattr("cnnviz.training.workers.supervisor.PARENT_SECONDS", -PARENT_SECONDS)
    watch.look(tracking.list_runs(database))
    assert state(database, run) == after


def test_a_worker_that_had_no_database_leaves_a_run_that_goes_on(database: Database) -> None:
    run, machine = begun(database), Machine(alive=False, ending=Ending(NO_DATABASE, "The server is gone.\n"))
    look(database, machine)
    assert state(database, run) == (Status.QUEUED, None)
    assert tracking.history(database, run)[-1].reason == "The server is gone."
    assert machine.told is None


CUT_OFF = """
import os, signal, sys, threading
from cnnviz import tracking
from cnnviz.training.workers import LocalLauncher, Supervisor
from cnnviz.training.workers.launcher import LocalWorker
from tests.training.workers.making import LIGHT

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "attach":
    tracking.attach = killed
else:
    LocalWorker.send_order = killed
Supervisor(launcher=LocalLauncher(LIGHT), tick=0.05).start()
threading.Event().wait()
"""


@pytest.mark.parametrize("before", ["attach", "send_order"])
def test_a_run_goes_on_by_itself_whose_supervisor_was_killed_before_its_worker_had_it(
    database: Database, before: str
) -> None:
    run = queue(database, "finish")
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", CUT_OFF, before], cwd=root) as supervisor:
        assert supervisor.wait(SOON) == -signal.SIGKILL
    assert state(database, run) == (Status.STARTING, None)
    assert (tracking.get_run(database, run).worker is None) == (before == "attach")
    silence(database, run, NO_WORKER_SECONDS)
    with supervising(database):
        ended = become(database, run, Status.FINISHED)
    assert (ended.attempt, ended.tries) == (2, 1)


def test_who_comes_too_late_changes_nothing(database: Database) -> None:
    run = begun(database)
    seen = tracking.list_runs(database)
    tracking.end(database, seen[0].lease, Status.FINISHED)
    RunMonitor(database, Machine(alive=False, ending=Ending(-9, "")), HERE).look(seen)
    assert state(database, run) == (Status.FINISHED, None)


@pytest.mark.parametrize(
    ("ending", "status", "sentence"),
    [
        (Ending(-11, "Fatal Python error"), Status.FAILED, "Its worker was ended by SIGSEGV."),
        (Ending(-2, ""), Status.INTERRUPTED, "Its worker was ended by SIGINT."),
        (
            Ending(1, "Traceback:\nNo torch.\n\n"),
            Status.FAILED,
            "Its worker ended with exit code 1: No torch.",
        ),
        (Ending(1, ""), Status.FAILED, "Its worker ended with exit code 1."),
        (Ending(-200, ""), Status.FAILED, "Its worker was ended by signal 200."),
        (Ending(NO_DATABASE, "The database is busy.\n"), Status.INTERRUPTED, "The database is busy."),
        (Ending(NO_ROOM, "There is no space left.\n"), Status.PAUSED, "There is no space left."),
    ],
)
def test_what_an_end_says(ending: Ending, status: Status, sentence: str) -> None:
    assert (ending.status, ending.sentence) == (status, sentence)


def test_a_number_that_another_process_has_got_is_no_sign_of_life() -> None:
    pid = os.getpid()
    since = process_id.started(pid)
    assert process_id.is_alive(pid, since)
    assert not process_id.is_alive(pid, since - 3600)
    process_id.kill(pid, since - 3600)
    with pytest.raises(ProcessLookupError):
        process_id.started(NO_PROCESS)


def test_gpus_are_kept_free_for_a_run_that_wants_several_and_has_waited_longest() -> None:
    supervisor = Supervisor(launcher=Machine())
    two = frozenset(("cpu", "cuda:0", "cuda:1"))
    one = two - {"cuda:1"}
    assert supervisor._reserved({"gpu:2": 1.0, "gpu": 2.0}, one, two) == {"cuda:0", "cuda:1"}
    assert supervisor._reserved({"gpu:2": 1.0, "gpu": 2.0}, two, two) == frozenset()
    assert supervisor._reserved({"gpu:2": 3.0, "gpu": 2.0}, one, two) == frozenset()
    assert supervisor._reserved({"gpu:4": 1.0, "gpu": 2.0}, one, two) == frozenset(), "there are no four"
