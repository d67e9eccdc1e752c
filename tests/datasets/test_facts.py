"""Facts of the images, against NumPy's own mean and spread on floats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.datasets import facts


@settings(max_examples=25)
@given(count=st.integers(1, 9), channels=st.integers(1, 3), side=st.integers(1, 7), seed=st.integers(0, 99))
def test_statistics_are_numpys(count: int, channels: int, side: int, seed: int) -> None:
    shape = (count, channels, side, side)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    mean, std = facts.channels(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)))
    assert std == pytest.approx((images / 255).std(axis=(0, 2, 3)))
    assert facts.mean_image(images) == pytest.approx((images / 255).mean(axis=0))


def test_a_few_images_at_a_time_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 3, 4, 4), dtype=np.uint8)
    whole = facts.channels(images), facts.mean_image(images)
    monkeypatch.setattr(facts, "AT_ONCE", 100)
    assert facts.channels(images).std == pytest.approx(whole[0].std)
    assert (facts.mean_image(images) == whole[1]).all()


def test_classes_without_images_count_zero() -> None:
    assert facts.class_counts(np.array([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]


def test_a_grid_shows_each_class_in_its_row() -> None:
    labels = np.array([0, 1, 0, 1, 0])
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), dtype=np.uint8)
    mosaic, rows = facts.grid(images, labels, [1, 0], columns=3)
    assert mosaic.shape == (4, 6, 3)
    assert set(rows[0]) == {1, 3, -1}
    assert set(rows[1]) == {0, 2, 4}
    shown = mosaic[::2, ::2, 0].ravel()
    assert shown.tolist() == [0 if row < 0 else row + 1 for row in rows.ravel()]
    assert (facts.grid(images, labels, [1, 0], columns=3).rows == rows).all()
