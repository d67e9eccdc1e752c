"""Metrics, times and bytes as they are read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.figures import numbers


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("test/accuracy", "test accuracy"),
        ("val/loss", "validation loss"),
        ("train/epoch_loss", "training loss over the epoch"),
        ("images_per_second", "images per second"),
        ("mine/some_thing", "mine some thing"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert numbers.metric_title(name) == title


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("test/accuracy", 0.97314, "97.31 %"),
        ("test/loss", 0.104249, "0.1042"),
        ("test/loss", 2.5e-7, "2.5e-07"),
        ("test/loss", 0.0, "0"),
        ("images_per_second", 3120.4, "3,120"),
        ("memory_bytes", 3 * 2**30, "3.00 GiB"),
        ("test/loss", math.nan, "NaN"),
        ("test/loss", math.inf, "∞"),
        ("test/loss", None, "—"),
    ],
)
def test_values(name: str, value: float | None, text: str) -> None:
    assert numbers.metric_text(name, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (4560, "1 h 16 min"),
        (3600, "1 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1024, "1.00 KiB"), (5 * 2**20, "5.00 MiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert numbers.size(count) == text


@given(st.floats(0, 1e15))
def test_a_size_is_short(count: float) -> None:
    assert len(numbers.size(round(count))) <= 10


def test_a_moment_that_never_came_is_a_dash() -> None:
    assert numbers.moment(None) == "—"
    assert len(numbers.moment(1_700_000_000)) == 16
