"""Single pictures: every mode comes out as eight bits, upright, without transparency."""

import numpy as np
import pytest
from PIL import Image

from cnnviz.datasets import DataError
from cnnviz.datasets.encoded_store import decode, header
from cnnviz.datasets.image_files import FORMATS
from tests.datasets.making import encoded, pixels


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_that_is_promised_is_read(form: str) -> None:
    flat = np.full((8, 8, 3), 119, dtype=np.uint8)
    data = encoded(flat, form)
    assert header(data, "x")[:2] == (8, 8)
    assert np.abs(decode(data, "x", (8, 8), colour=True).astype(int) - 119).max() <= 1


@pytest.mark.parametrize(
    ("picture", "colour", "values"),
    [
        (Image.new("L", (4, 4), 77), False, {77}),
        (Image.new("1", (4, 4), 1), False, {255}),
        (Image.fromarray(np.full((4, 4), 0x4D00, dtype=np.uint16)), False, {0x4D}),
        (Image.new("LA", (4, 4), (10, 0)), False, {255}),
        (Image.new("L", (4, 4), 77).convert("P"), False, {77}),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 0)), True, {255}),
        (Image.new("RGB", (4, 4), (200, 0, 50)).quantize(4), True, {200, 0, 50}),
    ],
    ids=["8 bits", "1 bit", "16 bits", "clear gray", "gray palette", "clear color", "color palette"],
)
def test_every_mode_is_read(picture: Image.Image, colour: bool, values: set[int]) -> None:
    data = encoded(picture)
    assert header(data, "x").colour == colour
    decoded = decode(data, "x", (4, 4), colour)
    assert decoded.shape == (3 if colour else 1, 4, 4)
    assert set(np.unique(decoded).tolist()) == values


def test_photographs_stand_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.zeros((8, 16, 3), dtype=np.uint8)
    lying[:, :8] = 255
    data = encoded(lying, "JPEG", exif=exif, quality=95)
    assert header(data, "x") == (16, 8, True)
    upright = decode(data, "x", (16, 8), colour=False)[0]
    assert upright[:7].min() > 200
    assert upright[9:].max() < 60


def test_large_photographs_are_reduced_as_if_they_had_been_decoded_whole() -> None:
    wave = (np.sin(np.linspace(0, 9, 640))[:, None] * np.cos(np.linspace(0, 7, 480)) * 100 + 128).astype(
        np.uint8
    )
    whole = Image.fromarray(wave[80:560]).resize((48, 48), Image.Resampling.BILINEAR)
    ours = decode(encoded(wave, "JPEG", quality=95), "x", (48, 48), colour=False)[0]
    assert np.abs(ours.astype(int) - np.asarray(whole).astype(int)).max() <= 6


@pytest.mark.parametrize("cut", [30, 60, 100])
def test_what_is_cut_off_is_damaged(cut: int) -> None:
    data = encoded(pixels(0, (20, 20)))[:-cut]
    with pytest.raises(DataError, match=r"^'here/x\.png' is damaged \(.+\); replace it or take it out"):
        decode(data, "here/x.png", (20, 20), colour=True)
