"""Numbers in explanations can be checked by the reader: none reads as 0 or as all where it is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.diagnosis import diagnose
from cnnviz.diagnosis.numbers import counted, fixed, percent, short
from tests.diagnosis.networks import FLAT, run
from tests.diagnosis.test_rules_of_signal import SPOILT


@given(st.floats(1e-12, 1, exclude_max=True), st.integers(0, 2))
def test_a_share_is_neither_none_nor_all_unless_it_is(share: float, digits: int) -> None:
    text = percent(share, digits)
    assert not re.fullmatch(r"(0|100)(\.0*)?%", text)
    assert text.endswith("%")


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 0, "0 %"), (1.0, 1, "100.0 %"), (0.374, 0, "37 %"), (0.374, 1, "37.4 %"), (0.004, 0, "0.4 %"),
        (0.9996, 0, "99.96 %"), (0.9996, 1, "99.96 %"), (1e-9, 0, "1.0·10⁻⁷ %"),
        (1 - 1e-9, 0, "nearly 100 %"), (float("nan"), 0, "no number"),
    ],
)  # fmt: skip
def test_shares_as_people_read_them(share: float, digits: int, text: str) -> None:
    assert percent(share, digits) == text


@given(st.floats(1e-12, 1e12), st.integers(0, 3))
def test_a_value_that_is_not_zero_is_not_written_as_zero(value: float, digits: int) -> None:
    """Of row D13: "0" for 10⁻⁹."""
    assert re.search("[1-9]", fixed(value, digits))
    assert re.search("[1-9]", short(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.3049, "2.305"), (999_999.0, "999,999.000"), (9.17e35, "9.2·10³⁵"), (-4e9, "-4.0·10⁹"),
     (float("inf"), "no number")],
)  # fmt: skip
def test_a_huge_loss_is_not_written_in_full(value: float, text: str) -> None:
    assert fixed(value, 3) == text


def test_things_are_counted_as_one_says_them() -> None:
    assert [counted(number, "step") for number in (0, 1, 2, 6000)] == [
        "0 steps",
        "1 step",
        "2 steps",
        "6,000 steps",
    ]
    assert counted(2, "batch", "batches") == "2 batches"


@pytest.mark.parametrize("cause", SPOILT)
def test_no_explanation_speaks_of_one_steps(cause: str) -> None:
    """Of row D13: "6,000 make 1 steps"."""
    texts = [
        text
        for finding in diagnose(SPOILT[cause]).findings
        for text in (finding.verdict, finding.explanation)
    ]
    assert not [text for text in texts if re.search(r"(?<![\d.,·])1 (steps|epochs|times|images)\b", text)]


def test_a_batch_of_all_images_makes_one_step() -> None:
    whole = run(losses=FLAT, accuracy=0.1, step=10, recipe={"batch_size": 1280, "epochs": 10})
    texts = " ".join(f.explanation for f in diagnose(whole).findings)
    assert "1 step an epoch" in texts
    assert "1 steps" not in texts


@pytest.mark.parametrize("cause", ["rate-too-high", "rate-too-low"])
def test_times_the_usual_stand_beside_the_usual(cause: str) -> None:
    """Of row D13: "51.2 times the usual" without the usual."""
    (finding,) = [one for one in diagnose(SPOILT[cause]).findings if one.cause == cause]
    assert "times the usual 0.001" in finding.verdict
