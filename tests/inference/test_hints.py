"""Hints: said where a picture is unlike the training images, and only there."""

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.inference import samples
from cnnviz.inference.hints import hints
from cnnviz.inference.picture import Picture
from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.inference.uploads import read

DIGITS = Preprocessing.plain(1, (28, 28)).changed(scale="standardised", mean=(33.0,), spread=(78.0,))


def test_images_of_the_data_need_no_hint() -> None:
    for image in datasets.load("digits").test.images[:20]:
        assert hints(Picture.of_data("x", image), DIGITS) == ()


def test_ink_on_paper_is_to_be_inverted() -> None:
    paper = read(samples.get("paper-4").upload())
    assert isinstance(paper, Picture)
    assert hints(paper, DIGITS)[0].endswith("training images are mostly dark (mean 33): try 'invert'.")
    assert hints(paper, DIGITS.changed(invert=True)) == ()
    assert hints(paper, Preprocessing.plain(1, (28, 28))) == ()


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.zeros((40, 40, 3), np.uint8), "next to nothing"),
        (np.eye(5, dtype=np.uint8)[..., None] * 255, "5×5"),
    ],
    ids=["black", "tiny"],
)
def test_what_shows_nothing_is_said(pixels: np.ndarray, sentence: str) -> None:
    picture = Picture("x", np.repeat(pixels, 3 // pixels.shape[2], 2))
    assert sentence in hints(picture, DIGITS)[0]
