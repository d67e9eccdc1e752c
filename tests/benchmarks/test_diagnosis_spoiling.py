"""What the newest blind parts plant in data is there, and nothing else changes."""

import numpy as np
import pytest

from benchmarks.diagnosis_runs import spoiling
from benchmarks.diagnosis_runs.data import Flaw
from cnnviz.datasets.spec import Arrays, Pixels


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(0)

    def images(count: int) -> Pixels:
        return random.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)

    return Arrays(images(400), np.arange(400) % 10, images(60), np.arange(60) % 10)


def same(one: Arrays, other: Arrays, *fields: str) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in fields)


def test_constant_images_have_one_value_and_their_labels(arrays: Arrays) -> None:
    spoiled = spoiling.constant(7)(arrays)
    assert set(np.unique(spoiled.train_images)) == set(np.unique(spoiled.test_images)) == {7}
    assert spoiled.train_images.dtype == np.uint8
    assert same(spoiled, arrays, "train_labels", "test_labels")


def test_pixels_divided_as_whole_numbers_have_hardly_two_values(arrays: Arrays) -> None:
    spoiled = spoiling.divided(255)(arrays)
    assert set(np.unique(spoiled.train_images)) == {0, 1}
    assert (spoiled.train_images == 1).mean() < 0.01


@pytest.mark.parametrize("each", [2, 6])
def test_a_tiny_set_has_so_many_images_of_each_class(arrays: Arrays, each: int) -> None:
    spoiled = spoiling.few(each)(arrays)
    assert np.bincount(spoiled.train_labels).tolist() == [each] * 10
    assert same(spoiled, arrays, "test_images", "test_labels")


@pytest.mark.parametrize("channels", [1, 3])
def test_copies_as_jpeg_are_near_and_not_equal_to_training_images(arrays: Arrays, channels: int) -> None:
    thin = Arrays(
        arrays.train_images[:, :channels], arrays.train_labels, arrays.test_images[:, :channels],
        arrays.test_labels,
    )  # fmt: skip
    spoiled = spoiling.copied_as_jpeg(0.5, 95)(thin)
    near = np.abs(spoiled.test_images[:30].astype(int) - thin.train_images[:30]).mean()
    unlike = np.abs(spoiled.test_images[:30].astype(int) - thin.train_images[1:31]).mean()
    assert 0 < near < 0.7 * unlike
    assert np.array_equal(spoiled.test_labels[:30], thin.train_labels[:30])
    assert np.array_equal(spoiled.test_images[30:], thin.test_images[30:])
    assert same(spoiled, thin, "train_images", "train_labels")


def test_names_in_another_order_are_wrong_for_every_test_image_and_right_for_no_class(arrays: Arrays) -> None:
    spoiled = spoiling.rotated_names(3)(arrays)
    assert not (spoiled.test_labels == arrays.test_labels).any()
    assert np.bincount(spoiled.test_labels).tolist() == [6] * 10
    assert same(spoiled, arrays, "train_images", "train_labels", "test_images")


def test_exchanged_names_touch_their_classes_only(arrays: Arrays) -> None:
    spoiled = spoiling.swapped_names(0, 4, 1, 7)(arrays)
    changed = spoiled.test_labels != arrays.test_labels
    assert set(arrays.test_labels[changed]) == {0, 1, 4, 7}
    assert set(spoiled.test_labels[arrays.test_labels == 0]) == {4}


def test_classes_that_are_apart_are_tested_and_hardly_learned(arrays: Arrays) -> None:
    spoiled = spoiling.apart(0.5)(arrays)
    learned = np.bincount(spoiled.train_labels, minlength=10)
    assert learned[:5].tolist() == [40] * 5
    assert learned[5:].sum() < 20
    assert set(spoiled.test_labels) == {5, 6, 7, 8, 9}
    assert len(spoiled.test_images) == len(spoiled.test_labels)


def test_classes_without_training_images_are_in_the_test(arrays: Arrays) -> None:
    spoiled = spoiling.untrained(2, 5)(arrays)
    assert set(spoiled.train_labels) == {0, 1, 3, 4, 6, 7, 8, 9}
    assert set(spoiled.test_labels) == set(range(10))


@pytest.mark.parametrize("flaw", [spoiling.inverted_test, spoiling.turned_test, spoiling.dimmed_test])
def test_a_test_of_another_kind_keeps_its_labels_and_what_is_learned_from(arrays: Arrays, flaw: Flaw) -> None:
    spoiled = flaw(arrays)
    assert same(spoiled, arrays, "train_images", "train_labels", "test_labels")
    assert spoiled.test_images.shape == arrays.test_images.shape
    assert not np.array_equal(spoiled.test_images, arrays.test_images)


def test_scattered_pixels_keep_their_values_and_lose_their_places(arrays: Arrays) -> None:
    spoiled = spoiling.scattered(arrays)
    for image, before in zip(spoiled.train_images[:20], arrays.train_images[:20], strict=True):
        assert not np.array_equal(image, before)
        assert sorted(map(tuple, image.reshape(3, -1).T)) == sorted(map(tuple, before.reshape(3, -1).T))
    assert same(spoiled, arrays, "train_labels", "test_labels")


def test_a_test_seen_otherwise_leaves_what_is_learned_from_and_the_labels(arrays: Arrays) -> None:
    for flaw in (
        *(spoiling.shifted_test, spoiling.noisy_test),
        *(spoiling.zoomed_test, spoiling.coarse_test, spoiling.mirrored_test),
        spoiling.thinned_test,
    ):
        spoiled = flaw(arrays)
        assert same(spoiled, arrays, "train_images", "train_labels", "test_labels")
        assert spoiled.test_images.dtype == np.uint8
        assert (spoiled.test_images != arrays.test_images).mean() > 0.5
    assert np.array_equal(
        spoiling.shifted_test(arrays).test_images[:, :, 2:, 2:], arrays.test_images[:, :, :-2, :-2]
    )


def test_a_mark_tells_the_label_of_training_images_alone() -> None:
    wide = Arrays(
        np.full((20, 1, 12, 12), 90, np.uint8),
        np.arange(20) % 10,
        np.full((6, 1, 12, 12), 90, np.uint8),
        np.arange(6),
    )
    spoiled = spoiling.marked_train(wide)
    assert spoiled.train_images[:, 0, 0, :10].argmax(1).tolist() == wide.train_labels.tolist()
    assert same(spoiled, wide, "test_images", "test_labels", "train_labels")
    assert np.array_equal(spoiled.train_images[:, :, 1:], wide.train_images[:, :, 1:])


def test_merged_classes_keep_their_pair_and_no_more(arrays: Arrays) -> None:
    spoiled = spoiling.merged(arrays)
    assert np.array_equal(spoiled.train_labels // 2, arrays.train_labels // 2)
    assert 0.3 < (spoiled.train_labels == arrays.train_labels).mean() < 0.7
    assert same(spoiled, arrays, "train_images", "test_images")


def test_exchanged_quarters_keep_all_pixels_of_an_image(arrays: Arrays) -> None:
    spoiled = spoiling.exchanged(arrays)
    for one, other in zip(spoiled.train_images[:50], arrays.train_images[:50], strict=True):
        assert np.array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
    assert (spoiled.train_images != arrays.train_images).any(axis=(1, 2, 3)).mean() > 0.8


def test_a_zoomed_test_shows_the_middle_and_a_coarse_one_squares(arrays: Arrays) -> None:
    zoomed, coarse = spoiling.zoomed_test(arrays).test_images, spoiling.coarse_test(arrays).test_images
    assert np.array_equal(zoomed[:, :, ::2, ::2], arrays.test_images[:, :, 2:6, 2:6])
    assert np.array_equal(zoomed[:, :, 1::2, 1::2], arrays.test_images[:, :, 2:6, 2:6])
    assert (coarse[:, :, :5, :5] == coarse[:, :, :1, :1]).all()


def test_of_each_image_one_half_is_hidden(arrays: Arrays) -> None:
    spoiled = spoiling.half_hidden(arrays)
    kept = spoiled.train_images == arrays.train_images
    assert kept.mean(axis=(1, 2, 3)).min() > 0.48
    assert kept.mean(axis=(1, 2, 3)).max() < 0.55
    assert (spoiled.train_images[~kept] == 0).all()
    assert same(spoiled, arrays, "train_labels", "test_labels")


def test_a_blended_image_is_the_mean_of_two_and_a_rained_on_one_is_hard_to_see(arrays: Arrays) -> None:
    blended, rained = spoiling.blended(arrays), spoiling.rained_on(arrays)
    for spoiled in (blended, rained):
        assert same(spoiled, arrays, "train_labels", "test_labels")
        assert not np.array_equal(spoiled.test_images, arrays.test_images)
    other = 2 * blended.train_images[0].astype(int) - arrays.train_images[0]
    nearest = np.abs(arrays.train_images - other).max(axis=(1, 2, 3)).min()
    assert nearest <= 1
    assert np.abs(rained.train_images.astype(int) - arrays.train_images).mean() > 40


def test_a_hollow_image_keeps_its_border_alone(arrays: Arrays) -> None:
    spoiled = spoiling.hollow(arrays)
    assert (spoiled.train_images[:, :, 2:6, 2:6] == 0).all()
    for rows in (slice(0, 2), slice(6, 8)):
        assert np.array_equal(spoiled.test_images[:, :, rows], arrays.test_images[:, :, rows])
        assert np.array_equal(spoiled.test_images[:, :, :, rows], arrays.test_images[:, :, :, rows])


def test_dealt_rows_stay_whole_in_an_order_of_each_image(arrays: Arrays) -> None:
    spoiled = spoiling.dealt_rows(arrays)
    for one, other in zip(spoiled.train_images[:50], arrays.train_images[:50], strict=True):
        rows = [sorted(map(bytes, image.transpose(1, 0, 2).copy())) for image in (one, other)]
        assert rows[0] == rows[1]
    moved = (spoiled.train_images != arrays.train_images).any(axis=(1, 2, 3))
    assert moved.mean() > 0.9
    assert same(spoiled, arrays, "train_labels", "test_labels")


def test_a_part_of_the_images_is_lost_and_the_others_stay(arrays: Arrays) -> None:
    spoiled = spoiling.lost(0.4)(arrays)
    kept = (spoiled.train_images == arrays.train_images).all(axis=(1, 2, 3))
    assert 0.5 < kept.mean() < 0.7
    assert same(spoiled, arrays, "train_labels", "test_labels")


def test_a_thinned_test_is_nowhere_lighter(arrays: Arrays) -> None:
    thinned = spoiling.thinned_test(arrays).test_images
    assert (thinned <= arrays.test_images).all()
    assert thinned[0, 0, 3, 3] == arrays.test_images[0, 0, 2:5, 2:5].min()
