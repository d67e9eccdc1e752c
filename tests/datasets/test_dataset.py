"""What a prepared data set offers: tensors, batches, splits."""

import numpy as np
import pytest
import torch

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset


@pytest.fixture
def ready() -> Dataset:
    return datasets.load("shapes", {"train": 250, "test": 20, "size": 8})


def test_tensors_share_the_memory_map(ready: Dataset) -> None:
    images, labels = ready.train.tensors()
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert tuple(images.shape) == (250, 3, 8, 8)
    assert images.data_ptr() == ready.train.images.ctypes.data


def test_batches_cover_the_part_in_order(ready: Dataset) -> None:
    batches = list(ready.test.iter_batches(8))
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    assert np.concatenate([images for images, _ in batches]).tobytes() == ready.test.images.tobytes()


def test_batches_follow_an_order_that_is_given(ready: Dataset) -> None:
    rows = np.array([7, 3, 3, 0])
    ((images, labels),) = ready.train.iter_batches(10, rows)
    assert labels.tolist() == ready.train.labels[rows].tolist()
    assert (images == ready.train.take(rows).images).all()


def test_a_validation_part_is_taken_from_the_training_part(ready: Dataset) -> None:
    split = ready.split(seed=4)
    assert len(split.validation) == 25
    assert sorted([*split.train, *split.validation]) == list(range(250))
    assert ready.split(seed=4).validation.tolist() == split.validation.tolist()
    assert ready.split(seed=5).validation.tolist() != split.validation.tolist()


def test_validation_can_be_left_out_and_training_limited(ready: Dataset) -> None:
    assert len(ready.split(validation=0).train) == 250
    split = ready.split(validation=0.2, limit=30)
    assert (len(split.train), len(split.validation)) == (30, 50)
    assert not set(split.train) & set(split.validation)
    assert np.bincount(ready.train.labels[split.train]).tolist() == [3] * 10


def test_a_part_too_small_to_hold_out_is_said(ready: Dataset) -> None:
    with pytest.raises(DataError, match="choose another part, or 0 for none"):
        ready.split(validation=0.001)
