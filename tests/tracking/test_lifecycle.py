"""States: what is allowed, what is refused, what is stamped, and who may still write."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from cnnviz import tracking
from cnnviz.tracking import (
    ACTIVE,
    ALLOWED,
    RESUMABLE,
    Command,
    Database,
    Lease,
    NoSuchRunError,
    RunFacts,
    StaleAttemptError,
    Status,
    WrongStateError,
)
from cnnviz.tracking.metrics import append
from cnnviz.tracking.tables import RunRow
from tests.tracking.making import HOST, begin, bring_to, claim, create, resume

ENDS = [Status.PAUSED, Status.STOPPED, Status.FINISHED, Status.FAILED, Status.INTERRUPTED]


def status(database: Database, run_id: int) -> Status:
    return tracking.get_run(database, run_id).status


def test_every_state_can_be_reached_and_left_as_the_issue_says() -> None:
    assert set(ALLOWED) == set(Status)
    assert frozenset[Status]().union(*ALLOWED.values()) == set(Status)
    assert {old for old, new in ALLOWED.items() if Status.QUEUED in new} == RESUMABLE
    assert not ALLOWED[Status.FINISHED]


@pytest.mark.parametrize("old", list(Status))
@pytest.mark.parametrize("new", ENDS)
def test_an_end_is_allowed_or_refused(sqlite: Database, old: Status, new: Status) -> None:
    run_id = bring_to(sqlite, old)
    before = tracking.history(sqlite, run_id)
    lease = tracking.get_run(sqlite, run_id).lease
    if old in ACTIVE and (new in ALLOWED[old] or (old, new) == (Status.STOPPING, Status.PAUSED)):
        tracking.end(sqlite, lease, new)
        assert tracking.history(sqlite, run_id)[:-1] == before
        assert tracking.history(sqlite, run_id)[-1].new == status(sqlite, run_id)
    else:
        with pytest.raises((WrongStateError, StaleAttemptError), match=f"Run {run_id} is {old}"):
            tracking.end(sqlite, lease, new)
        assert status(sqlite, run_id) == old
        assert tracking.history(sqlite, run_id) == before


ASKED = {
    (Status.QUEUED, Command.PAUSE): Status.PAUSED,
    (Status.QUEUED, Command.STOP): Status.STOPPED,
    (Status.STARTING, Command.PAUSE): Status.STARTING,
    (Status.STARTING, Command.STOP): Status.STARTING,
    (Status.STARTING, Command.RESUME): Status.STARTING,
    (Status.RUNNING, Command.PAUSE): Status.RUNNING,
    (Status.RUNNING, Command.STOP): Status.STOPPING,
    (Status.RUNNING, Command.RESUME): Status.RUNNING,
    (Status.STOPPING, Command.PAUSE): Status.STOPPING,
    (Status.STOPPING, Command.STOP): Status.STOPPING,
    (Status.PAUSED, Command.PAUSE): Status.PAUSED,
    (Status.PAUSED, Command.STOP): Status.STOPPED,
    (Status.PAUSED, Command.RESUME): Status.QUEUED,
    (Status.STOPPED, Command.RESUME): Status.QUEUED,
    (Status.FAILED, Command.RESUME): Status.QUEUED,
    (Status.INTERRUPTED, Command.RESUME): Status.QUEUED,
}


@pytest.mark.parametrize("old", list(Status))
@pytest.mark.parametrize("command", list(Command))
def test_what_a_page_can_ask(sqlite: Database, old: Status, command: Command) -> None:
    run_id = bring_to(sqlite, old)
    wanted = ASKED.get((old, command))
    if wanted is None:
        with pytest.raises(WrongStateError, match=f"is {old}; there is nothing to {command}"):
            tracking.request(sqlite, run_id, command)
        assert status(sqlite, run_id) == old
    else:
        assert tracking.request(sqlite, run_id, command) == wanted == status(sqlite, run_id)


def test_a_run_from_queue_to_end(database: Database) -> None:
    start = time.time()
    run = create(database)
    assert (run.status, run.attempt, run.recipe["epochs"]) == (Status.QUEUED, 0, 2)
    lease = claim(database)
    tracking.attach(database, lease, 4711, 123.5)
    started = tracking.get_run(database, run.id)
    assert (started.worker_pid, started.worker_started, started.host) == (4711, 123.5, HOST)
    facts = RunFacts(
        params=61_706, versions={"torch": "2.15"}, hardware="a CPU", fingerprint="ab", total_steps=9
    )
    tracking.begin(database, lease, facts=facts)
    append(database, lease, position=(9, 2.0))
    tracking.end(database, lease, Status.FAILED, "Loss is not finite at step 9.", "line\n" * 9_000)
    ended = tracking.get_run(database, run.id)
    assert (ended.status, ended.step, ended.epoch, ended.params) == (Status.FAILED, 9, 2.0, 61_706)
    assert ended.versions == {"torch": "2.15"}
    assert ended.worker_pid is None
    assert ended.error == "Loss is not finite at step 9."
    assert len(ended.last_lines or "") == 20_000
    changes = tracking.history(database, run.id)
    assert [change.new for change in changes] == ["queued", "starting", "running", "failed"]
    assert changes[-1].reason == ended.error
    assert start <= changes[0].time <= changes[-1].time <= time.time()


def test_the_queue_is_first_come_first_served_for_each_device(database: Database) -> None:
    first, second = create(database), create(database)
    other = create(database, "cuda:2")
    deleted = create(database, "cuda:1")
    tracking.delete_run(database, deleted.id)
    lease = claim(database)
    assert lease == Lease(first.id, 1)
    assert tracking.claim(database, "cpu", HOST) is None
    assert tracking.claim(database, "cuda:1", HOST) is None
    assert claim(database, "cuda:2").run_id == other.id
    assert claim(database, host="another machine").run_id == second.id
    tracking.end(database, lease, Status.STOPPED)
    assert tracking.claim(database, "cpu", HOST) is None


def test_a_run_with_files_on_one_machine_waits_for_it(database: Database) -> None:
    lease = begin(database)
    tracking.end(database, lease, Status.PAUSED)
    tracking.request(database, lease.run_id, Command.RESUME)
    assert tracking.claim(database, "cpu", "another machine") is None
    assert claim(database) == Lease(lease.run_id, 2)


def test_the_database_itself_refuses_a_second_run_on_a_device(database: Database) -> None:
    begin(database)
    second = create(database)
    running = update(RunRow).where(RunRow.id == second.id)
    running = running.values(host=HOST, device="cpu", status=Status.RUNNING)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(running)


def test_a_worker_that_comes_too_late_is_refused(database: Database) -> None:
    old = begin(database)
    new = resume(database, old, from_step=-1)
    late: list[Callable[[], object]] = [
        lambda: append(database, old),
        lambda: tracking.attach(database, old, 1, 1.0),
        lambda: tracking.begin(database, old),
        lambda: tracking.end(database, old, Status.FINISHED),
        lambda: tracking.add_checkpoint(database, old, "last", "last.safetensors", 1, 0.1, 10),
    ]
    for write in late:
        with pytest.raises(StaleAttemptError, match=r"is in attempt 2; the worker of attempt 1 is too late"):
            write()
    assert tracking.get_run(database, new.run_id).status == Status.RUNNING
    tracking.end(database, new, Status.INTERRUPTED)
    with pytest.raises(StaleAttemptError, match="is interrupted"):
        append(database, new)


def test_no_state_is_an_end_but_those_without_a_worker(sqlite: Database) -> None:
    lease = begin(sqlite)
    for wrong in (*ACTIVE, Status.QUEUED):
        with pytest.raises(WrongStateError, match="does not end as"):
            tracking.end(sqlite, lease, wrong)
    with pytest.raises(WrongStateError, match="is running and cannot become running"):
        tracking.begin(sqlite, lease)
    assert status(sqlite, lease.run_id) == Status.RUNNING


def test_a_command_is_taken_once_and_stopping_overrides(database: Database) -> None:
    lease = begin(database)
    for command in (Command.PAUSE, Command.PAUSE, Command.STOP):
        tracking.request(database, lease.run_id, command)
    assert tracking.pending(database, lease.run_id) is Command.STOP
    assert append(database, lease) is Command.STOP
    assert append(database, lease) is None
    assert tracking.pending(database, lease.run_id) is None


def test_a_pause_that_was_not_heard_can_be_withdrawn(database: Database) -> None:
    lease = begin(database)
    tracking.request(database, lease.run_id, Command.PAUSE)
    tracking.request(database, lease.run_id, Command.RESUME)
    assert append(database, lease) is None


def test_a_command_does_not_outlive_its_attempt(database: Database) -> None:
    lease = begin(database)
    tracking.request(database, lease.run_id, Command.PAUSE)
    assert append(database, resume(database, lease, -1)) is None


def test_stopping_wins_over_a_pause_under_way(database: Database) -> None:
    lease = begin(database)
    tracking.request(database, lease.run_id, Command.PAUSE)
    assert append(database, lease) is Command.PAUSE
    tracking.request(database, lease.run_id, Command.STOP)
    tracking.end(database, lease, Status.PAUSED)
    assert status(database, lease.run_id) == Status.STOPPED


def test_seconds_add_up_and_a_killed_worker_lived_until_its_last_heartbeat(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    lease = begin(database)
    now = 1010.0
    append(database, lease)
    assert tracking.get_run(database, lease.run_id).seconds == 10
    now = 9000.0
    lease = resume(database, lease, -1)
    run = tracking.get_run(database, lease.run_id)
    assert (run.seconds, run.ended) == (10, None)
    now = 9005.0
    tracking.end(database, lease, Status.FINISHED)
    assert tracking.get_run(database, lease.run_id).seconds == 15


def test_what_is_not_there_has_a_sentence(database: Database) -> None:
    with pytest.raises(NoSuchRunError, match="There is no run 12"):
        tracking.request(database, 12, Command.STOP)
    run = create(database)
    tracking.delete_run(database, run.id)
    with pytest.raises(WrongStateError, match="restore it first"):
        tracking.request(database, run.id, Command.STOP)
