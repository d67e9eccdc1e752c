"""Figures from what was planted and what was named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.diagnosis_runs.hinting import lost
from benchmarks.diagnosis_runs.scoring import (
    Named,
    Score,
    by_cause,
    hurts,
    learnt,
    mended,
    share,
    spread,
    wilson,
    with_interval,
)

RIGHT = Named(("a",), (), ("a", "b"))
BESIDE = Named(("a",), (), ("b", "a"))
NOTHING = Named(("b",), (), ())
TWO = Named(("a", "b"), (), ("b",))
OTHER_NAME = Named(("a",), ("c",), ("c",))


def test_the_first_named_must_be_planted_or_another_name_of_it() -> None:
    assert [one.first for one in (RIGHT, BESIDE, NOTHING, TWO, OTHER_NAME)] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_cause_counts_where_it_was_planted_and_is_false_only_elsewhere() -> None:
    scores = by_cause([RIGHT, BESIDE, NOTHING, TWO, OTHER_NAME])
    assert scores == [
        Score("a", planted=4, first=3, at_all=2, falsely=0, others=1),
        Score("b", planted=2, first=1, at_all=1, falsely=1, others=3),
        Score("c", planted=0, first=0, at_all=0, falsely=0, others=4),
    ]


def test_nine_tenths_of_the_healthy_run_part_failing_from_mended() -> None:
    assert (hurts(0.44, 0.5), hurts(0.46, 0.5)) == (True, False)
    assert (mended(0.46, 0.5), mended(0.44, 0.5)) == (True, False)


def test_what_has_learnt_is_well_above_chance_and_near_another_on_its_data() -> None:
    assert [learnt(*pair) for pair in ((0.4, 0.4), (0.29, 0.29), (0.7, 0.8))] == [True, False, False]


def test_a_share_is_told_with_its_count() -> None:
    assert share([True, True, False, True]) == "3 of 4 (75%)"
    assert share([]) == "0 of 0"


def test_all_that_was_planted_is_named_or_the_same_by_another_name() -> None:
    runs = (RIGHT, BESIDE, NOTHING, TWO, OTHER_NAME)
    assert [one.complete for one in runs] == [True, True, False, False, True]


@given(st.lists(st.integers(), unique=True), st.integers(0, 50))
def test_a_spread_is_in_order_and_from_the_whole(every: list[int], most: int) -> None:
    chosen = spread(every, most)
    assert len(chosen) == min(most, len(every))
    assert [every.index(one) for one in chosen] == sorted({every.index(one) for one in chosen})
    assert spread(every, None) == every
    assert not chosen or chosen[0] == every[0]


def test_what_hints_take_is_told_pair_by_pair() -> None:
    interval = lost([100, 200, 400], [99, 196, 396])
    assert interval.mean == pytest.approx((0.01 + 0.02 + 0.01) / 3)
    assert interval.low is not None
    assert interval.low < interval.mean


def test_a_mechanism_is_right_in_the_second_count_only_and_another_name_in_both() -> None:
    mechanism = Named(("a",), ("c",), ("d",), frozenset({"c", "d"}))
    other = Named(("a",), ("c",), ("c",), frozenset({"c", "d"}))
    assert [
        (one.strictly_first, one.first, one.by_mechanism) for one in (RIGHT, other, mechanism, NOTHING)
    ] == [
        (True, True, True),
        (False, True, True),
        (False, False, True),
        (False, False, False),
    ]


def test_what_nobody_knows_is_right_by_its_outcome() -> None:
    plain = Named(("unexplained",), ("b",), (), frozenset({"b"}), "unexplained")
    near = Named(("unexplained",), ("b",), ("b",), frozenset({"b"}), "cause-found")
    comfort = Named(("unexplained",), (), (), frozenset(), "healthy")
    assert [(one.first, one.by_mechanism, one.complete) for one in (plain, near, comfort)] == [
        (True, True, True),
        (False, True, False),
        (False, False, False),
    ]
    assert [one.comforts for one in (plain, near, comfort)] == [False, False, True]


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Of Wilson's formula by hand: 0 of n is from 0 to z²/(n + z²); the middle is symmetric.
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (5, 10, 0.23659, 0.76341), (81, 100, 0.72222, 0.87486)],
)
def test_wilson_s_interval(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count)[0] == pytest.approx(low, abs=2e-5)
    assert wilson(hits, count)[1] == pytest.approx(high, abs=2e-5)


def test_a_share_with_its_interval_and_one_of_nothing() -> None:
    assert with_interval([True] * 10) == "10 of 10 (100.0%, Wilson 72.2% to 100.0%)"
    assert with_interval([]) == "0 of 0"
    with pytest.raises(ValueError, match="no interval"):
        wilson(0, 0)
