"""Numbers say what they should, and never more than is true."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.figures import numbers

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (61_706, "61.7 k"),
        (999_949, "1.00 M"),
        (58_292_074, "58.3 M"),
        (1.5, "1.50"),
    ],
)
def test_headline_counts(count: float, text: str) -> None:
    assert numbers.short(count) == text


def test_multiply_adds_and_memory() -> None:
    assert numbers.macs(1_182_000_000) == "1.18 GMAC"
    assert numbers.macs(12) == "12 MAC"
    assert numbers.mib(58_292_074 * 4) == "222 MiB"
    assert numbers.mib(4096) == "4.00 KiB"
    assert numbers.mib(0) == "0 MiB"
    assert numbers.mib(3000 * 2**20) == "3,000 MiB"


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0, 0, "0 %"),
        (0.0004, 0, "< 1 %"),
        (0.0004, 1, "< 0.1 %"),
        (0.1324, 1, "13.2 %"),
        (0.9999, 0, "> 99 %"),
        (1, 0, "100 %"),
    ],
)
def test_shares_never_round_something_to_nothing(fraction: float, digits: int, text: str) -> None:
    assert numbers.percent(fraction, digits) == text


def test_exact_counts_and_shapes() -> None:
    assert numbers.exact(58_292_074) == "58,292,074"
    assert numbers.shape((256, 29, 29)) == "256×29×29"
    assert numbers.shape(()) == "1"


@given(st.integers(min_value=1, max_value=10**17))
def test_a_headline_is_within_half_a_percent_and_has_three_digits(count: int) -> None:
    number, unit = re.fullmatch(r"([\d,.]+)(?: (\w))?", numbers.short(count)).groups()  # type: ignore[union-attr]
    assert math.isclose(float(number.replace(",", "")) * UNITS[unit or ""], count, rel_tol=0.005)
    if count >= 1000:
        assert len(number.replace(",", "").replace(".", "")) == 3
