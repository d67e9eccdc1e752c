"""How far an experiment is, and what is left, from its own runs."""

import pytest

from cnnviz import tracking
from cnnviz.experiments import Cell, get, start
from cnnviz.experiments.running import expected, progress, seconds_of
from cnnviz.tracking import Database
from tests.experiments.making import NORMALISING, end_run

BASE, ARM = NORMALISING.names


def test_shares_and_what_goes_on(database: Database) -> None:
    number = start(database, NORMALISING)
    first = get(database, number).runs[Cell(BASE, 0)]
    second = get(database, number).runs[Cell(ARM, 0)]
    assert first is not None
    assert second is not None
    end_run(database, first.id, 0.8)
    lease = tracking.claim(database, "cpu", only=second.id)
    assert lease is not None
    tracking.begin(database, lease, from_step=1, epoch=2.5)
    result = progress(database, get(database, number))
    assert (result.done, result.total, result.waiting, result.broken) == (1, 6, 5, 0)
    assert result.going == (Cell(ARM, 0),)
    assert result.share == pytest.approx((1 + 0.5) / 6)
    assert result.seconds_left is not None


def test_runs_on_several_machines_go_on_at_once_and_share_the_time_left(database: Database) -> None:
    number = start(database, NORMALISING)
    first = get(database, number).runs[Cell(BASE, 0)]
    assert first is not None
    end_run(database, first.id, 0.8)
    alone = progress(database, get(database, number))
    assert alone.going == ()
    for host in ("node-1", "node-2"):
        assert tracking.claim(database, "cpu", host) is not None
    result = progress(database, get(database, number))
    assert result.going == (Cell(ARM, 0), Cell(BASE, 1)), "seed by seed, the conditions of a pair first"
    assert alone.seconds_left is not None
    assert result.seconds_left == pytest.approx(alone.seconds_left / 2)


def test_what_waits_takes_as_long_as_its_arm_did(database: Database) -> None:
    number = start(database, NORMALISING)
    first = get(database, number).runs[Cell(BASE, 0)]
    assert first is not None
    end_run(database, first.id, 0.8)
    stored = get(database, number)
    finished = stored.runs[Cell(BASE, 0)]
    assert finished is not None
    assert seconds_of(database, stored, Cell(BASE, 1)) == pytest.approx(finished.seconds)


def test_before_the_start_the_time_is_of_all_seeds_and_says_how_it_is_known(database: Database) -> None:
    one, basis = expected(database, NORMALISING.with_seeds(1))
    three, _ = expected(database, NORMALISING.with_seeds(3))
    assert one is not None
    assert three == pytest.approx(3 * one)
    assert basis.startswith("A rough guess")
