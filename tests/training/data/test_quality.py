"""What is told of the images before the first step: repeats, labels among neighbors, detail, lost color."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnnviz.datasets import Dataset, Part
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule, Labelled
from cnnviz.training.data.label_agreement import neighbours
from cnnviz.training.data.quality import dataset_report, detail
from tests.training.stripes import striped, stripes

RECIPE = Recipe(validation=0)


def data_module(dataset: Dataset, channels: int = 1) -> DataModule:
    return DataModule.of(dataset, RECIPE, channels, torch.device("cpu"))


def test_images_of_the_test_part_that_were_learnt_from_are_counted_and_shown() -> None:
    clean = striped()
    images, labels = clean.test.images.copy(), clean.test.labels.copy()
    images[:7], labels[:7] = clean.train.images[20:27], clean.train.labels[20:27]
    labels[0] = (labels[0] + 1) % 3
    result = dataset_report(data_module(replace(clean, test=Part(images, labels))))["repeats"]
    assert (result["test"], result["conflicting"], result["train"]) == (7, 1, 0)
    assert [(pair["test"], pair["train"]) for pair in result["pairs"]] == [(0, 20), (1, 21), (2, 22), (3, 23)]
    assert result["pairs"][0]["labels"] == [int(labels[0]), int(clean.train.labels[20])]
    assert dataset_report(data_module(clean))["repeats"]["test"] == 0


def test_one_pixel_by_one_shade_makes_another_image() -> None:
    clean = striped()
    images = clean.train.images[:60].copy()
    images[:, 0, 13, 13] ^= 1
    assert (
        dataset_report(data_module(replace(clean, test=Part(images, clean.train.labels[:60]))))["repeats"][
            "test"
        ]
        == 0
    )


def test_neighbours_share_labels_unless_these_are_shuffled() -> None:
    part = stripes()
    images, labels = part.tensors()
    result = neighbours(Labelled(images, labels), 3)
    assert result is not None
    assert result["share"] > 0.95
    assert result["chance"] == pytest.approx(1 / 3, abs=0.01)
    mixed = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    shuffled = neighbours(Labelled(images, mixed), 3)
    assert shuffled is not None
    assert abs(shuffled["share"] - shuffled["chance"]) < 0.1


def test_test_images_are_compared_with_training_images() -> None:
    result = dataset_report(data_module(striped()))["neighbours_of_test"]
    assert (result["images"], result["each"]) == (60, 5)
    assert result["share"] > 0.95
    assert result["chance"] == pytest.approx(1 / 3, abs=0.01)
    assert result["nearer"] == pytest.approx(0.5, abs=0.25)


def test_chance_counts_the_classes_of_both_parts() -> None:
    """Of 160 stripes 54 are at the top: so often a neighbor at random is one."""
    clean = striped()
    top = clean.test.labels == 0
    one = Part(clean.test.images[top], clean.test.labels[top])
    result = dataset_report(data_module(replace(clean, test=one)))["neighbours_of_test"]
    assert result["chance"] == pytest.approx(54 / 160)


def test_test_images_that_were_learnt_from_are_nearer_than_others() -> None:
    clean = striped()
    assert dataset_report(data_module(replace(clean, test=clean.train)))["neighbours_of_test"]["nearer"] == 1


@pytest.mark.parametrize(("images", "compared"), [(20, True), (19, False)])
def test_a_few_test_images_are_not_compared(images: int, compared: bool) -> None:
    clean = striped()
    few = Part(clean.test.images[:images], clean.test.labels[:images])
    assert (
        dataset_report(data_module(replace(clean, test=few)))["neighbours_of_test"] is not None
    ) is compared
    assert (
        dataset_report(data_module(replace(clean, train=few)))["neighbours_of_test"] is not None
    ) is compared


def test_what_was_enlarged_loses_little_when_it_is_reduced() -> None:
    sharp = torch.randint(
        0, 256, (20, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    large = functional.interpolate(sharp.float(), (32, 32), mode="bilinear", align_corners=False).byte()
    own, enlarged = detail(sharp), detail(large)
    assert own is not None
    assert enlarged is not None
    assert own["halved"] > 0.3
    assert enlarged["halved"] < 0.05


def test_of_one_colour_there_is_no_detail_to_speak_of() -> None:
    assert detail(torch.full((5, 3, 32, 32), 7, dtype=torch.uint8)) is None


def test_where_colour_alone_tells_and_the_model_reads_grey_the_dataset_report_shows_it() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    images = random.integers(0, 40, (200, 3, 28, 28)).astype(np.uint8)
    images[labels == 0, 0] += 100  # So much red
    images[labels == 1, 1] += 51  # and so much green are of one gray, after BT.601: 299 · 100 = 587 · 51.
    coloured = Part(images, labels)
    dataset = Dataset("tints", "Tints", ("red", "green"), coloured, coloured, "f" * 64, (), Path())
    result = dataset_report(data_module(dataset))
    assert result["neighbours_in_colour"]["share"] > result["neighbours"]["share"] + 0.3
    assert dataset_report(data_module(dataset, channels=3))["neighbours_in_colour"] is None


def test_the_class_that_test_images_look_like_shows_labels_in_another_order() -> None:
    clean = striped()
    turned = Part(clean.test.images, (clean.test.labels + 1) % 3)
    (one, two, three) = dataset_report(data_module(replace(clean, test=turned)))["resembled"]
    assert [row["like"] for row in (one, two, three)] == [2, 0, 1]
    assert [row["images"] for row in (one, two, three)] == [20, 20, 20]
    assert all(row["share"] > 0.9 for row in (one, two, three))
    assert [row["like"] for row in dataset_report(data_module(clean))["resembled"]] == [0, 1, 2]


def test_validation_images_are_counted_by_class() -> None:
    split = DataModule.of(striped(), Recipe(validation=0.1), 1, torch.device("cpu"))
    assert sum(dataset_report(split)["validation_counts"]) == len(split.validation) == 16
