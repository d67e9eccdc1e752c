"""What is planted in the data is there, and nothing else changes."""

import numpy as np
import pytest

from benchmarks.diagnosis_runs import data, sources
from cnnviz.datasets import describe_conversion
from cnnviz.datasets.dataset import LUMA
from cnnviz.datasets.spec import Arrays, Pixels


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(0)

    def images(count: int) -> Pixels:
        return random.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)

    return Arrays(images(400), np.arange(400) % 10, images(60), np.arange(60) % 10)


def same(one: Arrays, other: Arrays, *fields: str) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in fields)


def test_shuffled_labels_are_as_many_of_each_class_on_other_images(arrays: Arrays) -> None:
    spoiled = data.shuffled(arrays)
    assert same(spoiled, arrays, "train_images", "test_images", "test_labels")
    assert np.bincount(spoiled.train_labels).tolist() == [40] * 10
    assert (spoiled.train_labels == arrays.train_labels).mean() < 0.2


@pytest.mark.parametrize("part", [0.3, 0.5])
def test_noise_makes_just_that_part_of_the_training_labels_wrong(arrays: Arrays, part: float) -> None:
    spoiled = data.noisy(part)(arrays)
    assert (spoiled.train_labels != arrays.train_labels).mean() == part
    assert spoiled.train_labels.max() < 10
    assert same(spoiled, arrays, "train_images", "test_images", "test_labels")


def test_unbalanced_keeps_the_common_classes_and_one_in_so_many_of_the_others(arrays: Arrays) -> None:
    spoiled = data.unbalanced(20)(arrays)
    assert np.bincount(spoiled.train_labels).tolist() == [40, 40] + [2] * 8
    assert len(spoiled.train_images) == len(spoiled.train_labels)


def test_missing_classes_are_in_the_test_only(arrays: Arrays) -> None:
    spoiled = data.missing(3, 6)(arrays)
    assert not np.isin(spoiled.train_labels, (3, 6)).any()
    assert same(spoiled, arrays, "test_images", "test_labels")


def test_enlarged_pictures_keep_their_size_and_lose_what_is_small(arrays: Arrays) -> None:
    spoiled = data.enlarged(2)(arrays)
    assert spoiled.train_images.shape == arrays.train_images.shape
    assert np.abs(np.diff(spoiled.train_images.astype(int))).mean() < 30
    assert np.abs(np.diff(arrays.train_images.astype(int))).mean() > 60


def test_leaked_test_images_are_training_images_with_their_labels(arrays: Arrays) -> None:
    spoiled = data.leaked(0.5)(arrays)
    assert np.array_equal(spoiled.test_images[:30], arrays.train_images[:30])
    assert np.array_equal(spoiled.test_labels[:30], arrays.train_labels[:30])
    assert np.array_equal(spoiled.test_images[30:], arrays.test_images[30:])


def test_tints_tell_the_class_in_colour_and_not_in_grey(arrays: Arrays) -> None:
    spoiled = data.tinted(arrays)
    colours = spoiled.train_images.mean((2, 3))
    hue = colours / colours.sum(1, keepdims=True)
    means = np.stack([hue[spoiled.train_labels == label].mean(0) for label in range(10)])
    nearest = np.abs(hue[:, None] - means).sum(2).argmin(1)
    assert (nearest == spoiled.train_labels).mean() > 0.95
    grey = colours @ np.array(LUMA)
    assert np.ptp([grey[spoiled.train_labels == label].mean() for label in range(10)]) < 5
    assert describe_conversion((3, 8, 8), (1, 8, 8)).startswith("Color turned to gray")


def test_the_first_images_are_all_that_is_left(arrays: Arrays) -> None:
    spoiled = data.first(25)(arrays)
    assert np.array_equal(spoiled.train_images, arrays.train_images[:25])


@pytest.mark.parametrize("by", [1, 3])
def test_moved_images_are_the_same_ones_somewhere_else(arrays: Arrays, by: int) -> None:
    spoiled = data.moved(by)(arrays)
    assert same(spoiled, arrays, "train_labels", "test_labels")
    assert spoiled.train_images.shape == arrays.train_images.shape
    inner = slice(by, 8 - by)
    for one, before in zip(spoiled.train_images[:40], arrays.train_images[:40], strict=True):
        windows = [
            before[:, y : y + 8 - 2 * by, x : x + 8 - 2 * by]
            for y in range(2 * by + 1)
            for x in range(2 * by + 1)
        ]
        assert any(np.array_equal(one[:, inner, inner], window) for window in windows)
    assert not np.array_equal(spoiled.train_images, arrays.train_images)


def test_gratings_are_the_same_each_time_and_differ_between_parts() -> None:
    made, again = sources.gratings(None), sources.gratings(None)
    assert same(made, again, "train_images", "train_labels", "test_images", "test_labels")
    assert not np.array_equal(made.train_images[:800], made.test_images)
