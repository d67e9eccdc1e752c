"""Sentences that are never surer than the numbers behind them."""

from hypothesis import given
from hypothesis import strategies as some

from cnnviz.experiments.verdict import Interval, brief, describe_condition, epochs_text, paired, points

AT = "at 5 epochs"


def test_a_difference_and_none() -> None:
    assert (
        describe_condition("dropout", Interval(-0.021, 0.004, 5), AT)
        == "dropout: −2.1 ± 0.4 points at 5 epochs, n = 5."
    )
    assert describe_condition("Adam", Interval(-0.002, 0.009, 5), AT) == (
        "Adam: not statistically distinguishable: −0.2 ± 0.9 points at 5 epochs, n = 5; "
        "anything from −1.1 to +0.7 fits these runs."
    )


def test_a_narrow_interval_does_not_look_like_none() -> None:
    assert "+0.26 ± 0.04 points" in describe_condition("tanh", Interval(0.0026, 0.0004, 5), AT)


def test_one_pair_says_that_it_may_be_chance() -> None:
    assert describe_condition("LRN", paired([0.031]), AT) == (
        "LRN: +3.1 points at 5 epochs, n = 1; one pair of runs gives no interval, so this may be chance."
    )
    assert describe_condition("LRN", None, AT) == "LRN: nothing to compare yet."


@given(some.lists(some.floats(-1, 1), min_size=1, max_size=9), some.integers(1, 5))
def test_a_difference_is_claimed_only_where_the_interval_leaves_zero_out(
    differences: list[float], comparisons: int
) -> None:
    result = paired(differences, comparisons)
    text = describe_condition("arm", result, AT)
    claimed = " ± " in text and "not statistically distinguishable" not in text
    assert claimed == (result.half is not None and abs(result.mean) > result.half)
    short = brief("arm", result)
    assert (" ± " in short and "not statistically distinguishable" not in short) == claimed


def test_answers_in_a_list_are_short() -> None:
    assert brief("dropout", Interval(-0.021, 0.004, 5)) == "dropout: −2.1 ± 0.4 points"
    assert brief("Adam", Interval(-0.002, 0.009, 5)) == "Adam: not statistically distinguishable (−0.2 ± 0.9)"
    assert brief("LRN", paired([0.031])) == "LRN: +3.1 points, no interval"
    assert brief("LRN", None) == "LRN: nothing yet"


def test_signs_and_epochs() -> None:
    assert [points(value) for value in (0.112, -0.003, 0.0, -0.0001)] == ["+11.2", "−0.3", "0.0", "0.0"]
    assert [epochs_text(epochs) for epochs in ([5, 5], [1, 1], [5, 6])] == [
        "at 5 epochs",
        "at 1 epoch",
        "at the end",
    ]
