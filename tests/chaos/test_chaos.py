"""The short form of `make chaos`: random failures under small runs, none lost, none doubled, all as twins."""

from __future__ import annotations

import pytest

from tests.chaos import processes
from tests.chaos.simulation import chaos
from tests.tracking.postgres import binaries


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_run_is_lost_doubled_or_different(seed: int) -> None:
    failures, attempts = chaos(runs=6, seed=seed, looks=150)
    assert failures >= 5
    assert attempts > 6, "something went on after a failure"


@pytest.mark.parametrize(
    ("runs", "kinds", "failures"),
    [
        (3, processes.SHORT_KINDS, len(processes.SHORT_KINDS)),
        pytest.param(6, processes.KINDS, 2 * len(processes.KINDS), marks=pytest.mark.slow),
    ],
    ids=["each once", "all twice"],
)
def test_real_processes_that_are_killed_lose_and_change_nothing(
    runs: int, kinds: tuple[str, ...], failures: int
) -> None:
    """A worker, the app, a node and the database, each killed by a signal while runs train."""
    if binaries() is None:
        pytest.skip("needs the programs of a PostgreSQL server")
    found = processes.chaos(
        runs,
        seed=1,
        seconds=600.0,
        kinds=kinds,
        failures=failures,
        longest_away=0.0,
        between=100,
    )
    assert set(kinds[:2]) <= set(found.failures), f"the runs were too short to disturb: {found}"
    assert found.attempts > runs, found
