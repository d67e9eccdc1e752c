"""Converting images for a model, against Pillow's arithmetic and by what must not change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz import datasets
from cnnviz.datasets import DataError, convert_images, dataset, describe_conversion


def _random(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("have", "want", "sentence"),
    [
        ((1, 28, 28), (1, 28, 28), ""),
        ((1, 28, 28), (3, 28, 28), "Gray copied into three channels."),
        ((3, 32, 32), (1, 32, 32), "Color turned to gray (BT.601)."),
        ((1, 28, 28), (1, 32, 32), "Enlarged from 28×28 to 32×32 pixels (bilinear)."),
        (
            (3, 96, 96),
            (1, 28, 28),
            "Color turned to gray (BT.601), reduced from 96×96 to 28×28 pixels (bilinear).",
        ),
        ((3, 40, 60), (3, 32, 32), "The middle reduced from 40×60 to 32×32 pixels (bilinear)."),
    ],
)
def test_it_says_how_and_does_it(
    have: tuple[int, int, int], want: tuple[int, int, int], sentence: str
) -> None:
    assert describe_conversion(have, want) == sentence
    adapted = convert_images(_random(3, *have), want)
    assert tuple(adapted.shape) == (3, *want)
    assert adapted.dtype == torch.uint8


def test_nothing_to_do_is_the_same_tensor() -> None:
    images = _random(2, 3, 8, 8)
    assert convert_images(images, (3, 8, 8)) is images


def test_other_channels_are_refused() -> None:
    with pytest.raises(DataError, match="Images of 4 channels cannot be made into 3"):
        convert_images(_random(1, 4, 8, 8), (3, 8, 8))


def test_grey_is_pillows_grey() -> None:
    images = _random(4, 3, 16, 16)
    ours = convert_images(images, (1, 16, 16))[:, 0].int()
    for picture, grey in zip(images, ours, strict=True):
        theirs = np.asarray(Image.fromarray(picture.permute(1, 2, 0).numpy()).convert("L"))
        assert (grey - torch.from_numpy(theirs.astype(np.int32))).abs().max() <= 1


@pytest.mark.parametrize("side", [13, 57])
def test_resizing_is_pillows_bilinear(side: int) -> None:
    images = _random(2, 1, 28, 28)
    ours = convert_images(images, (1, side, side))[:, 0].int()
    for picture, resized in zip(images[:, 0], ours, strict=True):
        theirs = Image.fromarray(picture.numpy()).resize((side, side), Image.Resampling.BILINEAR)
        assert (resized - torch.from_numpy(np.asarray(theirs).astype(np.int32))).abs().max() <= 1


def test_the_middle_of_an_oblong_is_kept() -> None:
    images = torch.zeros(1, 1, 8, 16, dtype=torch.uint8)
    images[:, :, :, 4:12] = 200
    assert (convert_images(images, (1, 4, 4)) == 200).all()


@settings(max_examples=30)
@given(
    have=st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
    want=st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
    level=st.integers(0, 255),
)
def test_a_flat_image_stays_flat(have: tuple[int, int, int], want: tuple[int, int, int], level: int) -> None:
    flat = torch.full((2, *have), level, dtype=torch.uint8)
    adapted = convert_images(flat, want)
    assert tuple(adapted.shape) == (2, *want)
    assert (adapted == level).all()


def test_images_are_handled_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images = _random(10, 3, 9, 9)
    whole = convert_images(images, (1, 5, 5))
    monkeypatch.setattr(dataset, "AT_ONCE", 3 * 9 * 9 * 3)
    assert (convert_images(images, (1, 5, 5)) == whole).all()


def test_the_earlier_names_are_the_same_functions() -> None:
    assert datasets.adapt is convert_images
    assert datasets.how is describe_conversion
