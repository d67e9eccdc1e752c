"""Experiments as rows, on every kind of database."""

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database, NoSuchExperimentError, Slot
from tests.tracking.making import create

CELLS = [("base", 0), ("arm", 0), ("base", 2**62)]


def test_places_are_filled_and_emptied(database: Database) -> None:
    number = tracking.create_experiment(database, "dropout", '{"a": 1}', CELLS)
    assert tracking.get_experiment(database, number).body == '{"a": 1}'
    run = create(database).id
    tracking.assign_run(database, number, "arm", 0, run)
    assert sorted(tracking.slots(database, number)) == [
        Slot("arm", 0, run),
        Slot("base", 0, None),
        Slot("base", 2**62, None),
    ]
    tracking.delete_run(database, run)
    tracking.purge_runs(database)
    assert {slot.run_id for slot in tracking.slots(database, number)} == {None}


def test_newest_first_extended_and_forgotten(database: Database) -> None:
    first, second = (tracking.create_experiment(database, name, "{}", CELLS) for name in "ab")
    tracking.extend_experiment(database, first, "{}", [("arm", 1)])
    assert [entry.id for entry in tracking.list_experiments(database)] == [second, first]
    assert len(tracking.slots(database, first)) == 4
    run = create(database).id
    tracking.assign_run(database, first, "arm", 1, run)
    tracking.delete_experiment(database, first)
    assert [entry.name for entry in tracking.list_experiments(database)] == ["b"]
    assert tracking.slots(database, first) == []
    assert tracking.get_run(database, run).id == run


def test_what_is_not_there_is_told(database: Database) -> None:
    for act in (
        lambda: tracking.get_experiment(database, 5),
        lambda: tracking.delete_experiment(database, 5),
        lambda: tracking.extend_experiment(database, 5, "{}", []),
        lambda: tracking.assign_run(database, 5, "arm", 0, 1),
    ):
        with pytest.raises(NoSuchExperimentError, match="no experiment 5"):
            act()
