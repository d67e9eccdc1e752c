"""What a supervisor asks: which devices runs wait for, and whether anything was asked in this process."""

from __future__ import annotations

import threading

import pytest

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Status, WrongStateError, commands
from tests.tracking.making import HOST, bring_to, claim, create

LONG = 60.0


def test_classes_of_devices_that_runs_wait_for(database: Database) -> None:
    assert tracking.waiting_classes(database, HOST) == {}
    bring_to(database, Status.FINISHED, "cuda:1")
    first = create(database, "cpu")
    create(database, "cpu")
    second = create(database, "cuda:0")
    assert tracking.waiting_classes(database, HOST) == {"cpu": first.queued, "gpu": second.queued}


def test_a_run_with_files_elsewhere_waits_for_that_machine(database: Database) -> None:
    run = bring_to(database, Status.PAUSED)
    tracking.request(database, run, Command.RESUME)
    assert list(tracking.waiting_classes(database, HOST)) == ["cpu"]
    assert tracking.waiting_classes(database, "another machine") == {}


def test_a_deleted_run_waits_for_nothing(database: Database) -> None:
    tracking.delete_run(database, create(database).id)
    assert tracking.waiting_classes(database, HOST) == {}


def test_the_bell_wakes_who_waits(sqlite: Database) -> None:
    heard, woken = commands.notification_count(), threading.Event()

    def wait() -> None:
        commands.wait(heard, LONG)
        woken.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    run = create(sqlite)
    assert woken.wait(LONG)
    heard = commands.notification_count()
    tracking.request(sqlite, run.id, Command.STOP)
    assert commands.notification_count() > heard


def test_a_run_that_waits_can_be_the_next(database: Database) -> None:
    first, second, third = (create(database).id for _ in range(3))
    tracking.move_to_front(database, third)
    tracking.move_to_front(database, third)
    order = []
    for _ in range(3):
        lease = claim(database)
        order.append(lease.run_id)
        tracking.end(database, lease, Status.STOPPED)
    assert order == [third, first, second]
    with pytest.raises(WrongStateError, match="does not wait"):
        tracking.move_to_front(database, first)
