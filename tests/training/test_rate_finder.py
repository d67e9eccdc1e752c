"""The learning-rate range test: rates that grow, an end in time, and a suggestion by its rule."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.datasets import Step
from cnnviz.training import Recipe, rate_finder
from cnnviz.training.rate_finder import HIGHEST, LOWEST, find_rate, smooth, suggest
from tests.training.stripes import striped

SMALL = Recipe(model="lenet5", batch_size=32, lr=0.5, seed=3)


def test_rates_grow_by_a_factor_and_the_suggested_one_trains() -> None:
    steps: list[Step] = []
    rate = find_rate(SMALL, striped(), steps.append)
    factors = np.diff(np.log(rate.rates))
    assert rate.rates[0] == LOWEST
    assert max(rate.rates) <= HIGHEST * 1.001
    np.testing.assert_allclose(factors[2:], factors[2], rtol=1e-6)
    assert rate.suggestion is not None
    assert 1e-4 < rate.suggestion < 1
    assert f"{rate.suggestion:g}" in rate.sentence
    assert {step.stage for step in steps} == {"Trying learning rates"}
    again = find_rate(SMALL.changed({"lr": 1e-5, "schedule": "cosine", "epochs": 1}), striped())
    assert again.losses == rate.losses, "the rate that is to be found plays no part"


def test_a_machine_that_is_slow_makes_fewer_steps_and_at_last_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(10_000))
    # The module's own clock: other threads go on by the machine's.
    slow = SimpleNamespace(monotonic=lambda: float(next(clock)), perf_counter=time.perf_counter)
    monkeypatch.setattr("cnnviz.training.rate_finder.time", slow)
    rate = find_rate(SMALL, striped(), seconds=20.0)  # two steps take a second of this clock
    assert rate_finder.MIN_STEPS <= len(rate.rates) <= 40
    with pytest.raises(ValueError, match="use a smaller batch"):
        find_rate(SMALL, striped(), seconds=5.0)


def test_cancelling_ends_it_between_two_steps() -> None:
    class StopError(Exception):
        pass

    def cancel(step: Step) -> None:
        if step.done == 3:
            raise StopError

    with pytest.raises(StopError):
        find_rate(SMALL, striped(), cancel)


@given(st.integers(30, 200), st.floats(1e-3, 5), st.floats(0.5, 3))
def test_the_suggestion_is_a_fifth_of_the_rate_at_which_most_of_the_fall_is_made(
    count: int, best: float, depth: float
) -> None:
    rates = np.geomspace(LOWEST, HIGHEST, count)
    losses = 4 - depth * np.minimum(1, np.log(rates / LOWEST) / np.log(best / LOWEST))
    losses[rates > 2 * best] += 9
    result = suggest(rates.tolist(), losses.tolist())
    fallen = float(rates[np.argmax(losses <= losses[0] - 0.9 * (losses[0] - losses.min()))])
    assert result == float(f"{fallen / 5:.0e}")


def test_where_the_loss_fell_at_no_rate_none_is_suggested() -> None:
    assert suggest([1e-5, 1e-3, 1e-1], [2.30, 2.28, 2.31]) is None


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_the_smoothed_loss_lies_between_those_it_is_made_of(losses: list[float]) -> None:
    for number, value in enumerate(smooth(losses), 1):
        assert min(losses[:number]) - 1e-9 <= value <= max(losses[:number]) + 1e-9
    assert smooth(losses)[0] == pytest.approx(losses[0])
