"""Splits: disjoint, covering, in proportion, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.datasets import DataError, dataset
from cnnviz.datasets.spec import Labels

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(np.array)


@given(labels=LABELS, share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_a_choice_is_exact_disjoint_and_in_proportion(labels: Labels, share: float, seed: int) -> None:
    count = int(share * len(labels))
    kept, taken = dataset.stratified_split(labels, count, seed)
    assert sorted([*kept, *taken]) == list(range(len(labels)))
    assert len(taken) == count
    assert all(np.diff(kept) > 0)
    assert all(np.diff(taken) > 0)
    for label, size in zip(*np.unique(labels, return_counts=True), strict=True):
        given_ = int((labels[taken] == label).sum())
        assert abs(given_ - size * count / len(labels)) <= 1


@given(labels=LABELS, share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_no_class_gives_all_it_has_unless_it_must(labels: Labels, share: float, seed: int) -> None:
    classes, sizes = np.unique(labels, return_counts=True)
    count = int(share * (len(labels) - len(classes)))
    kept, _ = dataset.stratified_split(labels, count, seed)
    # A share of a class above its size less one can be forced on it; below, it keeps one.
    for label, size in zip(classes, sizes, strict=True):
        if size * count / len(labels) <= size - 1:
            assert (labels[kept] == label).any()


@given(labels=LABELS, seed=st.integers(0, 2**32))
def test_the_same_seed_chooses_the_same(labels: Labels, seed: int) -> None:
    first, second = (dataset.stratified_split(labels, len(labels) // 2, seed) for _ in range(2))
    assert first.selected.tolist() == second.selected.tolist()


def test_another_seed_chooses_others() -> None:
    labels = np.arange(200) % 4
    chosen = {tuple(dataset.stratified_split(labels, 50, seed).selected) for seed in range(5)}
    assert len(chosen) == 5


def test_nothing_held_out_keeps_everything() -> None:
    kept, taken = dataset.hold_out(np.array([0, 1, 1]), 0, seed=3)
    assert kept.tolist() == [0, 1, 2]
    assert taken.tolist() == []


@pytest.mark.parametrize("fraction", [-0.1, 1, float("nan")])
def test_fractions_that_make_no_sense(fraction: float) -> None:
    with pytest.raises(DataError, match="from 0 to under 1"):
        dataset.hold_out(np.array([0, 1]), fraction, seed=0)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_a_side_with_nothing_on_it_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="nothing would be left on one side"):
        dataset.hold_out(np.array([0, 1, 0, 1]), fraction, seed=0)


def test_a_limit_is_stratified_and_no_more_than_there_is() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert np.bincount(labels[dataset.stratified_subset(labels, 10, seed=1)]).tolist() == [6, 3, 1]
    assert (
        dataset.stratified_subset(labels, None, seed=1).tolist()
        == dataset.stratified_subset(labels, 1000, seed=1).tolist()
    )
    with pytest.raises(DataError, match="at least 1, not 0"):
        dataset.stratified_subset(labels, 0, seed=1)
