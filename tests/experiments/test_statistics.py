"""Paired intervals against printed tables, a second library, and what must hold of any numbers."""

import math
import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy.special import stdtrit

from cnnviz.experiments.verdict import Interval, inconclusive_text, paired, pairs_needed, sampling_error

DIFFERENCES = some.lists(some.floats(-1, 1), min_size=2, max_size=20)


def standard_errors(differences: list[float], comparisons: int = 1) -> float:
    """The half width of the interval in standard errors of the mean."""
    half = paired(differences, comparisons).half
    assert half is not None
    return half * math.sqrt(len(differences)) / statistics.stdev(differences)


@pytest.mark.parametrize(
    ("freedom", "printed"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)]
)
def test_quantiles_are_those_of_the_printed_table(freedom: int, printed: float) -> None:
    assert standard_errors([0.1 * n for n in range(freedom + 1)]) == pytest.approx(printed, abs=5e-4)


def test_bonferroni_with_five_comparisons_is_the_99_percent_column() -> None:
    assert standard_errors([0.1, 0.2, 0.4, 0.7, 0.3], 5) == pytest.approx(4.604, abs=5e-4)


def test_students_own_data_give_his_interval() -> None:
    """Additional hours of sleep by two drugs (Student, 1908): mean 1.58, 95 % from 0.70 to 2.46."""
    result = paired([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert result.mean == pytest.approx(1.58)
    assert result.low == pytest.approx(0.70, abs=5e-3)
    assert result.high == pytest.approx(2.46, abs=5e-3)
    assert result.apart


def test_one_pair_and_pairs_without_spread_give_no_interval() -> None:
    for differences in ([0.03], [0.25, 0.25, 0.25], [0.0, 0.0]):
        result = paired(differences)
        assert (result.half, result.low, result.high, result.apart) == (None, None, None, False)
        assert result.mean == pytest.approx(differences[0])


@pytest.mark.parametrize(("differences", "comparisons"), [([], 1), ([0.1, 0.2], 0)])
def test_nothing_cannot_be_judged(differences: list[float], comparisons: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        paired(differences, comparisons)


@given(DIFFERENCES, some.integers(1, 12))
def test_the_interval_is_that_of_the_formula(differences: list[float], comparisons: int) -> None:
    """The mean ± t·s/√n, t from the inverse of Student's distribution."""
    result = paired(differences, comparisons)
    assume(result.half is not None)
    n = len(differences)
    t = stdtrit(n - 1, 1 - 0.05 / (2 * comparisons))
    assert result.mean == pytest.approx(math.fsum(differences) / n)
    assert result.half == pytest.approx(t * statistics.stdev(differences) / math.sqrt(n))


@given(DIFFERENCES, some.floats(-0.5, 0.5), some.randoms())
def test_order_does_not_matter_and_a_shift_moves_only_the_mean(
    differences: list[float], shift: float, random: some.DrawFn
) -> None:
    mixed = sorted(differences, key=lambda _: random.random())  # type: ignore[attr-defined]
    moved = paired([value + shift for value in mixed])
    result = paired(differences)
    assume(result.half is not None and result.half > 1e-6)
    assert moved.mean == pytest.approx(result.mean + shift, abs=1e-12)
    assert moved.half == pytest.approx(result.half)


@given(DIFFERENCES)
def test_more_comparisons_never_make_an_interval_narrower(differences: list[float]) -> None:
    alone, among = paired(differences), paired(differences, 4)
    assert (alone.half is None) == (among.half is None)
    assert alone.half is None or among.half is None or among.half >= alone.half


@given(DIFFERENCES)
def test_the_other_arm_as_base_turns_the_sign_and_nothing_else(differences: list[float]) -> None:
    result, turned = paired(differences), paired([-value for value in differences])
    assert turned.mean == -result.mean
    assert turned.half == result.half
    assert turned.apart == result.apart


def test_sampling_error_is_the_binomials() -> None:
    assert sampling_error(0.5, 100) == pytest.approx(0.05)
    assert math.isclose(sampling_error(0.9, 900), 0.01)


def test_how_many_pairs_a_difference_would_need() -> None:
    assert pairs_needed(Interval(0.02, 0.04, 5)) == 20, "half the interval takes four times the pairs"
    assert pairs_needed(Interval(0.05, 0.04, 5)) is None, "it is seen already"
    assert pairs_needed(Interval(0.0001, 0.4, 5)) is None, "more than anybody would make"
    assert pairs_needed(Interval(0.02, None, 1)) is None


def test_an_open_question_says_what_would_answer_it() -> None:
    assert inconclusive_text([Interval(0.02, 0.04, 5), Interval(0.001, 0.04, 5)]).endswith("about 20 seeds.")
    assert inconclusive_text([Interval(1e-5, 0.4, 5)]).endswith("more than 1,000 seeds.")
    assert not inconclusive_text([Interval(0.02, 0.04, 5), Interval(0.2, 0.04, 5)])
    assert not inconclusive_text([None])
