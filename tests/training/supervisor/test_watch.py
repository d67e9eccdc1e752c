"""What becomes of runs whose worker is missing, silent, elsewhere, or whose number another process has."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import update

from cnnviz import tracking
from cnnviz.tracking import Command, Database, RunSummary, Status
from cnnviz.tracking.tables import RunRow
from cnnviz.training.supervisor import Ending, identity
from cnnviz.training.supervisor.launcher import NO_DATABASE, NO_ROOM
from cnnviz.training.supervisor.local import LocalWorker
from cnnviz.training.supervisor.watch import (
    ELSEWHERE_SECONDS,
    KEEPER_SECONDS,
    NO_WORKER_SECONDS,
    SILENT_SECONDS,
    Watch,
)
from tests.training.supervisor.making import queue

HERE, NO_PROCESS = "here", 2**22 + 1


class Machine:
    """A launcher whose workers live, or not, as a test wants it."""

    def __init__(self, alive: bool = True, ending: Ending | None = None) -> None:
        self.alive, self.told, self.killed = alive, ending, 0

    def devices(self) -> frozenset[str]:
        return frozenset()

    def worker(self) -> LocalWorker:
        raise OSError

    def lives(self, run: RunSummary) -> bool:
        return self.alive

    def ending(self, run: RunSummary) -> Ending | None:
        return self.told

    def forget(self, run: RunSummary) -> None:
        self.told = None

    def kill(self, run: RunSummary) -> None:
        self.killed += 1
        self.alive, self.told = False, Ending(-9, "")

    def tend(self, wanted: frozenset[str]) -> None: ...

    def close(self) -> None: ...


def look(database: Database, machine: Machine) -> Watch:
    watch = Watch(database, machine, HERE)
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


def test_a_worker_that_never_came(database: Database) -> None:
    run = begun(database, Status.STARTING, with_worker=False)
    look(database, Machine())
    assert state(database, run) == (Status.STARTING, None)
    silence(database, run, NO_WORKER_SECONDS)
    look(database, Machine())
    assert state(database, run) == (Status.INTERRUPTED, "No worker came for it.")


def test_a_run_elsewhere_is_left_alone_until_nothing_was_heard_for_long(database: Database) -> None:
    run = begun(database)
    dead = Machine(alive=False, ending=Ending(-9, ""))
    watch = Watch(database, dead, "another machine")
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.RUNNING, None)
    silence(database, run, ELSEWHERE_SECONDS)
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.INTERRUPTED, f"Nothing was heard of {HERE}, where it trained.")


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


def test_an_end_that_was_not_written_down(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run, dead = begun(database), Machine(alive=False)
    watch = look(database, dead)
    assert state(database, run) == (Status.RUNNING, None), "its keeper may still be writing"
    monkeypatch.setattr("cnnviz.training.supervisor.watch.KEEPER_SECONDS", -KEEPER_SECONDS)
    watch.look(tracking.list_runs(database))
    assert state(database, run) == (Status.INTERRUPTED, "Its worker ended, and nobody saw how.")


def test_who_comes_too_late_changes_nothing(database: Database) -> None:
    run = begun(database)
    seen = tracking.list_runs(database)
    tracking.end(database, seen[0].lease, Status.FINISHED)
    Watch(database, Machine(alive=False, ending=Ending(-9, "")), HERE).look(seen)
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
    since = identity.started(pid)
    assert identity.lives(pid, since)
    assert not identity.lives(pid, since - 3600)
    identity.kill(pid, since - 3600)
    with pytest.raises(ProcessLookupError):
        identity.started(NO_PROCESS)
