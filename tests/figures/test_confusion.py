"""Confusion matrices: shares of the true class, exact counts, and what has no images stays a gap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cnnviz.figures.confusion import block_size, confusion, confusion_alt, difference, per_class

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
    assert trace["hovertemplate"].startswith("true %{y}, predicted %{x}: "), "as the heading of its images"
    assert figure["layout"]["yaxis"]["autorange"] == "reversed", "the first class is on top"
    assert confusion_alt([[8, 2], [0, 5]], ["cat", "dog"]) == (
        "Confusion matrix of 2 classes, 86.67 % right. Most often cat is predicted as dog: 2 times."
    )
    assert per_class([[8, 2], [0, 0]]) == [0.8, None]


@pytest.mark.parametrize("classes", [10, 30, 100, 1_000])
def test_many_classes_leave_room_for_the_matrix(classes: int) -> None:
    names = [f"a class with a long name {i}" for i in range(classes)]
    figure = confusion(300 * np.eye(classes, dtype=np.int64), names)
    trace, axes = figure["data"][0], (figure["layout"]["xaxis"], figure["layout"]["yaxis"])
    assert bool(trace["texttemplate"]) is (classes == 10)
    assert trace["xgap"] == (1 if classes <= 30 else 0), "a gap as wide as a cell would hide all of them"
    assert trace["customdata"].dtype == np.uint16
    if classes <= 100:
        assert list(trace["x"]) == names, "a cell tells its classes in full"
    else:
        assert (block_size(classes), len(trace["x"]), trace["x"][0]) == (8, 125, f"{names[0]} … {names[7]}")
        assert np.array_equal(trace["customdata"], 2_400 * np.eye(125))
        assert np.array_equal(trace["z"], np.eye(125))
    for axis in axes:
        if classes <= 30:
            assert list(axis["ticktext"]) == [f"… {i}" for i in range(classes)]
        else:
            assert axis["showticklabels"] is False
            assert f"({classes:,} classes" in axis["title"]["text"]


@given(st.integers(126, 400))
def test_blocks_of_classes_keep_every_image(classes: int) -> None:
    counts = np.random.default_rng(classes).integers(0, 5, (classes, classes))
    names = [str(i) for i in range(classes)]
    trace = confusion(counts, names)["data"][0]
    drawn = trace["customdata"]
    assert drawn.sum() == counts.sum()
    alone = classes % block_size(classes) == 1
    assert trace["x"][-1].endswith(names[-1])
    assert (trace["x"][-1] == names[-1]) is alone, "a last block of one class has its name"
    assert len(drawn) <= 125
    assert difference(counts, counts, names)["data"][0]["customdata"].shape == (*drawn.shape, 2)


def test_a_long_name_is_cut_at_the_axis() -> None:
    axis = confusion(np.eye(2, dtype=np.int64), ["cat", "a Siberian husky"])["layout"]["xaxis"]
    assert list(axis["ticktext"]) == ["cat", "a Siberian hu…"]


def test_labels_of_classes_that_are_numbers_stand_at_their_own_class() -> None:
    # plotly.js looks a tick's value up among the names first: 1 is the class "1", wherever it stands.
    names = ["1", "10", "2", "3"]
    axis = confusion(np.eye(4, dtype=np.int64), names)["layout"]["xaxis"]
    position = {name: number for number, name in enumerate(names)}
    placed = [position.get(str(value), value) for value in axis["tickvals"]]
    assert placed == [0, 1, 2, 3]
    assert list(axis["ticktext"]) == names


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="as many rows and columns"):
        confusion([[1]], ["cat", "dog"])
