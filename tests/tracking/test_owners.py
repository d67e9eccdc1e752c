"""Owners: what is somebody else's can be seen and not changed; limits; whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.access import ALONE, NOBODY, Principal, Role, acting, resolve_with
from cnnviz.tracking import Command, Database, LimitError, Limits, NotOwnerError, Run, Status
from cnnviz.tracking.limits import Usage, day_start
from cnnviz.tracking.queue import fair_order
from cnnviz.tracking.tables import RunRow

ADA, BOB = Principal("class ada", "Ada", Role.MEMBER), Principal("class bob", "Bob", Role.MEMBER)


def queued(database: Database, who: Principal = ALONE, seed: int = 0) -> Run:
    with acting(who):
        return tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=seed)


CHANGES: dict[str, Callable[[Database, int], object]] = {
    "pause": lambda database, run: tracking.request(database, run, Command.PAUSE),
    "stop": lambda database, run: tracking.request(database, run, Command.STOP),
    "resume": lambda database, run: tracking.request(database, run, Command.RESUME),
    "first": tracking.move_to_front,
    "rename": lambda database, run: tracking.update_run(database, run, name="mine"),
    "tag": lambda database, run: tracking.update_run(database, run, tags=["x"]),
    "delete": tracking.delete_run,
    "restore": tracking.restore_run,
    "remove checkpoint": lambda database, run: tracking.remove_checkpoint(database, run, "last"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_changes_what_is_somebody_elses(database: Database, change: str) -> None:
    run = queued(database, ADA)
    before = tracking.get_run(database, run.id)
    for who in (BOB, NOBODY):
        with acting(who), pytest.raises(NotOwnerError, match=f"Run {run.id} is somebody else's"):
            CHANGES[change](database, run.id)
    assert tracking.get_run(database, run.id) == before


def test_the_owner_and_the_teacher_change_it(database: Database) -> None:
    first, second = queued(database, ADA), queued(database, ADA)
    with acting(ADA):
        assert tracking.request(database, first.id, Command.STOP) is Status.STOPPED
    assert tracking.request(database, second.id, Command.STOP) is Status.STOPPED


def test_what_was_made_alone_is_not_a_students(database: Database) -> None:
    run = queued(database)
    with acting(ADA), pytest.raises(NotOwnerError):
        tracking.delete_run(database, run.id)


def test_owners_are_known_by_who_vouches_for_them_and_not_by_name(database: Database) -> None:
    run = queued(database, ADA)
    impostor = Principal("elsewhere ada", "Ada", Role.MEMBER)
    with acting(impostor), pytest.raises(NotOwnerError):
        tracking.delete_run(database, run.id)
    queued(database, impostor)
    names = tracking.owner_names(database)
    assert sorted(names.values()) == ["", "Ada", "Ada"]
    with acting(ADA):
        assert tracking.current_owner_id(database) == run.owner_id
    with acting(BOB):
        assert tracking.current_owner_id(database) is None


def test_who_may_only_look_makes_nothing(database: Database) -> None:
    with acting(NOBODY), pytest.raises(NotOwnerError, match="Only people who have joined"):
        tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)
    with acting(NOBODY), pytest.raises(NotOwnerError, match="Only people who have joined"):
        tracking.create_experiment(database, "x", "{}", [])
    assert tracking.list_runs(database) == []


def test_experiments_are_their_owners(database: Database) -> None:
    with acting(ADA):
        number = tracking.create_experiment(database, "x", "{}", [("a", 0)])
    run = queued(database, BOB).id
    changes: tuple[Callable[[], None], ...] = (
        lambda: tracking.delete_experiment(database, number),
        lambda: tracking.extend_experiment(database, number, "[]", []),
        lambda: tracking.assign_run(database, number, "a", 0, run),
    )
    for change in changes:
        with acting(BOB), pytest.raises(NotOwnerError, match="Experiment 1 is somebody else's"):
            change()
    with acting(ADA):
        tracking.delete_experiment(database, number)


def test_for_good_goes_only_what_is_ones_own(database: Database) -> None:
    mine, theirs = queued(database, ADA), queued(database, BOB)
    for run in (mine, theirs):
        tracking.delete_run(database, run.id)
    with acting(ADA):
        assert tracking.purge_runs(database) == (1, 0)
    assert [run.id for run in tracking.list_runs(database, deleted=True)] == [theirs.id]


# Limits.


def test_each_limit_is_said_before_it_is_hit(database: Database) -> None:
    tracking.write_limits(database, Limits(waiting=2))
    for _ in range(2):
        queued(database, ADA)
    with pytest.raises(LimitError, match=r"2 of your runs wait, and 2 is the limit for each"):
        queued(database, ADA)
    queued(database, BOB)
    for _ in range(3):
        queued(database)  # none holds who works alone, and the teacher
    with acting(ADA):
        usage = tracking.read_usage(database)
    assert usage.summary(tracking.read_limits(database)).startswith("2 of 2 waiting runs · 0 of 60 minutes")


def test_what_queues_many_runs_is_refused_before_the_first_of_them(database: Database) -> None:
    tracking.write_limits(database, Limits(waiting=4))
    queued(database, ADA)
    tracking.require_queue_capacity(database, 6)  # who works alone, and the teacher, has no limit
    with acting(ADA):
        tracking.require_queue_capacity(database, 3)
        with pytest.raises(LimitError, match=r"These are 6 runs, and 3 more of yours may wait"):
            tracking.require_queue_capacity(database, 6)
    with acting(BOB), pytest.raises(LimitError, match=r"and 4 more of yours may wait"):
        tracking.require_queue_capacity(database, 5)  # he owns nothing yet


def test_an_experiment_as_it_is_offered_fits_the_limit() -> None:
    conditions, seeds = 3, 3
    assert not Usage(0, 0.0, 0, 0).reached(Limits(), conditions * seeds)


def test_a_limit_that_is_near_is_said() -> None:
    limits = Limits(waiting=5, minutes=60, disk=100, upload=100)
    assert Usage(3, 40.0, 70_000_000, 0).near(limits) == ""
    near = Usage(4, 50.0, 70_000_000, 90_000_000).near(limits)
    assert near == (
        "Nearly used up: 4 of 5 waiting runs, 50 of 60 minutes of training today, "
        "90 of 100 MB handed in today."
    )
    assert "You have handed in 100 MB today" in Usage(4, 0.0, 0, 100_000_000).exhausted(limits)
    assert "5 of your runs wait" in Usage(5, 50.0, 0, 100_000_000).exhausted(limits)
    nothing = Usage(0, 0.0, 0, 0)
    for none in (Limits(waiting=0), Limits(minutes=0), Limits(disk=0)):
        assert nothing.reached(none) == "Nobody may train for now: your teacher has set a limit to 0."
    assert nothing.exhausted(Limits(upload=0)).startswith("Nobody may hand in files for now")


def test_minutes_and_megabytes_are_limited(database: Database) -> None:
    tracking.write_limits(database, Limits(minutes=10, disk=1))
    run = queued(database, ADA)
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    tracking.begin(database, lease)
    tracking.add_checkpoint(database, lease, "last", "last", 1, 1.0, 1_000_000)
    with database.write() as session:
        session.get_one(RunRow, run.id).earlier_seconds = 0.0
    with acting(ADA), pytest.raises(LimitError, match=r"Your runs keep 1 MB, and 1 MB is the limit"):
        tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)
    tracking.write_limits(database, Limits(minutes=0))
    with acting(ADA), pytest.raises(LimitError, match="Nobody may train for now"):
        tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)


def trained(database: Database, who: Principal, minutes: float) -> tuple[Run, tracking.Lease]:
    """A run of somebody that has trained for so long, and trains."""
    run = queued(database, who)
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    tracking.begin(database, lease)
    with database.write() as session:
        session.get_one(RunRow, run.id).earlier_seconds = 60 * minutes
    return run, lease


def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock at noon, so that what trained minutes ago trained today."""
    noon = day_start(time.time()) + 43_200
    monkeypatch.setattr(time, "time", lambda: noon)


def test_minutes_stay_used_when_a_run_is_deleted_for_good(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    tracking.write_limits(database, Limits(minutes=60))
    before = 0.0
    for _ in range(2):
        run, lease = trained(database, ADA, 30)
        tracking.end(database, lease, Status.STOPPED)
        with acting(ADA):
            before = tracking.read_usage(database).minutes
            tracking.delete_run(database, run.id)
            assert tracking.purge_runs(database)[0] == 1
            assert tracking.read_usage(database).minutes == pytest.approx(before)
    assert before == pytest.approx(60)
    with acting(ADA), pytest.raises(LimitError, match="trained 60 minutes today"):
        tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    with acting(ADA):
        assert tracking.read_usage(database).minutes == 0


def test_a_run_is_paused_when_its_owner_has_used_up_the_minutes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    tracking.write_limits(database, Limits(minutes=60))
    run, lease = trained(database, ADA, 59)
    assert tracking.pause_over_limit(database) == []
    tracking.write_limits(database, Limits(minutes=59))
    assert tracking.pause_over_limit(database) == [run.id]
    assert tracking.pending(database, run.id) is Command.PAUSE
    tracking.end(database, lease, Status.PAUSED)
    mine, _ = trained(database, ALONE, 600)
    assert tracking.pause_over_limit(database) == []
    assert tracking.pending(database, mine.id) is None


def test_a_resumed_run_is_a_waiting_one(database: Database) -> None:
    run = queued(database, ADA)
    tracking.request(database, run.id, Command.PAUSE)
    tracking.write_limits(database, Limits(waiting=0))
    with acting(ADA), pytest.raises(LimitError):
        tracking.request(database, run.id, Command.RESUME)


def test_uploads_are_counted_by_owner_and_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking.write_limits(database, Limits(upload=1))
    with acting(ADA):
        tracking.count_upload(database, 400_000)
        assert tracking.upload_allowance(database) == 600_000
        tracking.count_upload(database, 700_000)
        assert tracking.upload_allowance(database) == 0
    with acting(BOB):
        assert tracking.upload_allowance(database) == 1_000_000
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    with acting(ADA):
        assert tracking.upload_allowance(database) == 1_000_000


def test_only_the_teacher_changes_limits_and_freezes(database: Database) -> None:
    for who in (ADA, NOBODY):
        with acting(who), pytest.raises(NotOwnerError, match="Only the teacher"):
            tracking.write_limits(database, Limits(waiting=100))
        with acting(who), pytest.raises(NotOwnerError, match="Only the teacher"):
            tracking.freeze_queue(database, True)


@pytest.mark.parametrize("value", [-1, 2.5, True, 10_000_000])
def test_what_is_no_limit_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="whole number from 0"):
        Limits(waiting=value)  # type: ignore[arg-type]


def test_why_nothing_of_somebody_begins_is_said(database: Database) -> None:
    run = queued(database, ADA)
    assert tracking.held_back(database, run.owner_id) == ""
    tracking.write_limits(database, Limits(minutes=0))
    assert "until tomorrow" in tracking.held_back(database, run.owner_id)
    assert tracking.held_back(database, queued(database).owner_id) == ""  # the teacher has no limit
    tracking.freeze_queue(database, True)
    assert tracking.held_back(database, run.owner_id) == "the queue is frozen"


def test_somebody_who_signs_in_and_manages_has_no_limit_of_minutes(database: Database) -> None:
    """As members they waited until tomorrow; the claim of their provider has changed since."""
    tracking.write_limits(database, Limits(minutes=0, waiting=10))
    member = Principal("https://id.example eve", "Eve", Role.MEMBER)
    with acting(member), pytest.raises(LimitError):
        queued(database, member)
    run = queued(database, Principal(member.key, "Eve", Role.MANAGER))
    assert tracking.held_back(database, run.owner_id) == ""
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    tracking.begin(database, lease)
    assert tracking.pause_over_limit(database) == []


def test_a_frozen_queue_begins_nothing(database: Database) -> None:
    run = queued(database, ADA)
    tracking.freeze_queue(database, True)
    assert tracking.claim(database, "cpu") is None
    assert tracking.waiting_classes(database) == {}
    tracking.freeze_queue(database, False)
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    assert lease.run_id == run.id


def test_a_day_begins_at_midnight() -> None:
    now = time.mktime((2026, 11, 29, 15, 30, 0, 0, 0, -1))
    assert now - day_start(now) == 15.5 * 3600
    assert Usage(0, 0.0, 0, 0).reached(Limits()) == ""


# Whose turn it is.


def claimed(database: Database) -> int:
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    tracking.end(database, lease, Status.STOPPED)
    return lease.run_id


def test_owners_take_turns(database: Database) -> None:
    tracking.write_limits(database, Limits(waiting=10))
    ada = [queued(database, ADA).id for _ in range(3)]
    bob = [queued(database, BOB).id for _ in range(2)]
    expected = [ada[0], bob[0], ada[1], bob[1], ada[2]]
    assert tracking.queue_order(database) == expected
    assert [claimed(database) for _ in range(5)] == expected


def test_who_was_served_last_waits_though_they_queued_first(database: Database) -> None:
    queued(database, ADA)
    claimed(database)
    ada, bob = queued(database, ADA).id, queued(database, BOB).id
    assert tracking.queue_order(database) == [bob, ada]
    assert [claimed(database), claimed(database)] == [bob, ada]


def test_who_has_trained_enough_today_is_passed_over(database: Database) -> None:
    ada, bob = queued(database, ADA), queued(database, BOB)
    tracking.write_limits(database, Limits(minutes=0))
    assert tracking.claim(database, "cpu") is None
    run = queued(database)
    assert claimed(database) == run.id  # the teacher's
    tracking.write_limits(database, Limits(minutes=10))
    assert [claimed(database), claimed(database)] == [ada.id, bob.id]


def test_alone_the_oldest_comes_first(database: Database) -> None:
    runs = [queued(database).id for _ in range(3)]
    tracking.move_to_front(database, runs[2])
    assert [claimed(database) for _ in range(3)] == [runs[2], runs[0], runs[1]]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.floats(0, 10)), max_size=30),
    st.dictionaries(st.integers(1, 4), st.floats(0, 100), max_size=4),
)
def test_nobody_has_two_turns_while_another_waits(
    runs: list[tuple[int, float]], served: dict[int, float]
) -> None:
    waiting = [(owner, moment, number) for number, (owner, moment) in enumerate(runs)]
    order = fair_order(waiting, served)
    assert sorted(order) == [number for _, _, number in waiting]
    owners = [runs[number][0] for number in order]
    counts = {owner: sum(one == owner for one, _ in runs) for owner in owners}
    for position, owner in enumerate(owners):
        so_far = {other: owners[:position].count(other) for other in counts}
        # Whoever still waits has had as many turns, or comes earlier in this very round.
        waiting_others = (other for other in counts if other != owner and so_far[other] < counts[other])
        assert all(so_far[other] >= so_far[owner] for other in waiting_others)
    for owner in counts:
        own = [runs[number][1] for number in order if runs[number][0] == owner]
        assert own == sorted(own)


def test_a_thread_for_nobody_in_particular_changes_nothing(database: Database) -> None:
    run = queued(database, ADA)
    resolve_with(lambda: NOBODY)
    try:
        with pytest.raises(NotOwnerError):
            tracking.delete_run(database, run.id)
        # What workers and supervisors do needs a lease and nobody's leave.
        lease = tracking.claim(database, "cpu")
        assert lease is not None
        tracking.begin(database, lease)
        tracking.end(database, lease, Status.FINISHED)
    finally:
        resolve_with(None)
