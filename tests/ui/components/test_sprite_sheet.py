"""Many pictures in one: each is found again where the sprite says it lies."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz.ui.components.images import GAP, LARGEST, sprite


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@settings(max_examples=30)
@given(
    count=st.integers(1, 13), channels=st.sampled_from([1, 3]), height=st.integers(1, 9),
    width=st.integers(1, 9), columns=st.none() | st.integers(1, 20),
)  # fmt: skip
def test_each_picture_lies_in_its_cell(
    count: int, channels: int, height: int, width: int, columns: int | None
) -> None:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    result = sprite(images, columns)
    sheet = opened(result.png)
    assert (result.count, result.height, result.width) == (count, height, width)
    assert sheet.shape[:2] == (result.lines * (height + GAP), result.columns * (width + GAP))
    for number, image in enumerate(images):
        top, left = number // result.columns * (height + GAP), number % result.columns * (width + GAP)
        cell = sheet[top : top + height, left : left + width]
        assert (cell[..., :3] == image.transpose(1, 2, 0)).all()
        assert (cell[..., 3] == 255).all()
    assert int((sheet[..., 3] == 255).sum()) == count * height * width


def test_large_pictures_are_reduced_in_proportion() -> None:
    images = np.full((2, 3, 2 * LARGEST, LARGEST), 77, dtype=np.uint8)
    result = sprite(images)
    assert (result.height, result.width) == (LARGEST, LARGEST // 2)
    assert (opened(result.png)[0, 0] == (77, 77, 77, 255)).all()
    assert sprite(images[:, :1]).height == LARGEST
