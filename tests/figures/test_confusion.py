"""Confusion matrices: shares of the true class, exact counts, and what has no images stays a gap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cnnviz.figures.confusion import confusion, confusion_alt, difference, per_class

MATRICES = st.integers(2, 6).flatmap(
    lambda n: arrays.arrays(np.int64, (2, n, n), elements=st.integers(0, 1000))
)


@given(MATRICES)
def test_rows_are_shares_and_differences_cancel(pair: NDArray[np.int64]) -> None:
    one, other = pair
    names = [f"c{i}" for i in range(len(one))]
    shares = confusion(one, names)["data"][0]["z"]
    for row, counts in zip(shares, one, strict=True):
        assert np.isnan(row).all() if not counts.sum() else row.sum() == pytest.approx(1, abs=1e-5)
    forth, back = (difference(*p, names)["data"][0]["z"] for p in ((one, other), (other, one)))
    assert forth == pytest.approx(-back, nan_ok=True)


def test_a_cell_tells_counts_and_classes() -> None:
    figure = confusion([[8, 2], [0, 5]], ["cat", "dog"])
    trace = figure["data"][0]
    assert trace["customdata"].tolist() == [[8, 2], [0, 5]]
    assert trace["z"][0, 1] == pytest.approx(0.2)
    assert trace["texttemplate"]
    assert figure["layout"]["yaxis"]["autorange"] == "reversed", "the first class is on top"
    assert confusion_alt([[8, 2], [0, 5]], ["cat", "dog"]) == (
        "Confusion matrix of 2 classes, 86.67 % right. Most often cat is predicted as dog: 2 times."
    )
    assert per_class([[8, 2], [0, 0]]) == [0.8, None]


def test_numbers_are_left_out_where_there_is_no_room() -> None:
    assert (
        confusion(np.eye(100, dtype=np.int64), [str(i) for i in range(100)])["data"][0]["texttemplate"] == ""
    )


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="as many rows and columns"):
        confusion([[1]], ["cat", "dog"])
