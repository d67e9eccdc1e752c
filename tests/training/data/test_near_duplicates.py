"""Test images that are training images saved again, and such as only look like some."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cnnviz import datasets
from cnnviz.training.data import Labelled
from cnnviz.training.data.quality import near_duplicates


@pytest.fixture(scope="module")
def digits() -> tuple[Labelled, Labelled]:
    """Training and test part of handwritten digits, ten kinds of images that look alike."""
    result = datasets.load("digits")
    train, test = result.train.tensors(), result.test.tensors()
    return Labelled(*train), Labelled(*test)


def as_jpeg(images: Tensor, quality: int) -> Tensor:
    saved = []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
        saved.append(np.asarray(Image.open(file)).reshape(image.shape))
    return torch.from_numpy(np.stack(saved)).permute(0, 3, 1, 2).contiguous()


def darker(images: Tensor) -> Tensor:
    return (images.float() * 0.7 + 20).round().byte()


@pytest.mark.parametrize(
    "changed",
    [lambda i: as_jpeg(i, 80), lambda i: as_jpeg(i, 40), darker, torch.clone],
    ids=["jpeg-80", "jpeg-40", "darker", "unchanged"],
)
def test_copies_are_found_however_they_were_saved(
    changed: Callable[[Tensor], Tensor], digits: tuple[Labelled, Labelled]
) -> None:
    train, _ = digits
    rows = torch.arange(100, 400)
    result = near_duplicates(Labelled(changed(train.images[rows]), train.labels[rows]), train)
    assert result is not None
    assert result["images"] == 300
    assert result["copies"] >= 290
    for pair in result["pairs"]:
        assert (pair["train"], pair["labels"][0]) == (100 + pair["test"], pair["labels"][1])


def test_digits_of_other_hands_are_no_copies(digits: tuple[Labelled, Labelled]) -> None:
    train, test = digits
    result = near_duplicates(test, train)
    assert result is not None
    assert result["copies"] <= 0.01 * result["images"]


def test_pairs_that_are_shown_are_pictures_of_both(digits: tuple[Labelled, Labelled]) -> None:
    train, _ = digits
    result = near_duplicates(Labelled(as_jpeg(train.images[:50], 60), train.labels[:50]), train)
    assert result is not None
    assert len(result["pairs"]) == 4
    for pair in result["pairs"]:
        mine, theirs = (np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for png in pair["png"])
        assert np.array_equal(theirs, train.images[pair["train"] :][0, 0].numpy())
        assert not np.array_equal(mine, theirs)


def test_flat_images_are_nobodys_copies() -> None:
    black = Labelled(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), torch.zeros(40).long())
    assert near_duplicates(black, black) == {"copies": 0, "images": 0, "known": 40, "pairs": []}


def test_a_handful_of_training_images_is_not_compared(digits: tuple[Labelled, Labelled]) -> None:
    train, test = digits
    assert near_duplicates(test, Labelled(train.images[:5], train.labels[:5])) is None
    assert near_duplicates(Labelled(test.images[:0], test.labels[:0]), train) is None


def test_images_are_compared_in_portions_of_bytes(
    digits: tuple[Labelled, Labelled], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, _ = digits
    tested = Labelled(as_jpeg(train.images[:30], 60), train.labels[:30])
    whole = near_duplicates(tested, train)
    monkeypatch.setattr("cnnviz.training.data.quality.LIKENESSES", 9_000)
    monkeypatch.setattr("cnnviz.training.data.AT_ONCE", 3_000)
    assert near_duplicates(tested, train) == whole
