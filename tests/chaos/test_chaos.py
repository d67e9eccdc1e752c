"""The short form of `make chaos`: random failures under small runs, none lost, none doubled, all as twins."""

from __future__ import annotations

import pytest

from tests.chaos import processes
from tests.chaos.simulation import chaos


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_run_is_lost_doubled_or_different(seed: int) -> None:
    failures, attempts = chaos(runs=6, seed=seed, looks=150)
    assert failures >= 5
    assert attempts > 6, "something went on after a failure"


@pytest.mark.slow
def test_real_processes_that_are_killed_lose_and_change_nothing() -> None:
    failed = processes.chaos(runs=3, seed=1, seconds=300.0, failures=8)
    assert failed.get("worker", 0) >= 1, failed
