"""Hints: said where a picture is unlike the training images, and only there."""

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.inference import samples
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import Hint, grouped, hints, stored_pixels
from cnnviz.inference.images.read_image import Picture, read

DIGITS = Preprocessing.plain(1, (28, 28)).changed(scale="standardised", mean=(33.0,), spread=(78.0,))


def test_images_of_the_data_need_no_hint() -> None:
    for image in datasets.load("digits").test.images[:20]:
        assert hints(Picture.of_data("x", image), DIGITS) == ()


def test_ink_on_paper_is_to_be_inverted() -> None:
    paper = read(samples.get("paper-4").upload())
    assert isinstance(paper, Picture)
    (hint,) = hints(paper, DIGITS)
    assert hint.text.endswith("training images are mostly dark (mean 33): try 'invert'.")
    assert (hint.kind, hint.change) == ("brightness", "invert")
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
    assert sentence in hints(picture, DIGITS)[0].text


def digit(side: int, long: int, top: int, left: int) -> Picture:
    """A ring of a digit's kind, `long` pixels high, in a black square."""
    rows, columns = np.mgrid[:long, :long] - (long - 1) / 2
    distance = np.hypot(rows, columns)
    ring = np.where((distance < long / 2) & (distance > long / 4), 255, 0).astype(np.uint8)
    image = np.zeros((1, side, side), np.uint8)
    image[0, top : top + long, left : left + long] = ring
    return Picture.of_data("x", image)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (digit(28, 20, 4, 4), None),
        (digit(28, 18, 5, 5), None),
        (digit(28, 12, 8, 8), "size"),
        (digit(28, 26, 1, 1), "size"),
        (digit(28, 20, 0, 4), "position"),
        (digit(28, 20, 4, 8), "position"),
        (digit(56, 40, 8, 8), None),
        (digit(56, 40, 16, 8), "position"),
    ],
)
def test_a_digit_of_other_size_or_place_than_mnists_is_to_be_centered(
    picture: Picture, kind: str | None
) -> None:
    result = hints(picture, DIGITS, centered=True)
    assert [hint.kind for hint in result] == ([kind] if kind else [])
    assert all(hint.change == "centre" and "try 'center'" in hint.text for hint in result)
    assert hints(picture, DIGITS) == ()
    # What it asks for is what helps.
    assert hints(picture, DIGITS.changed(centre=True), centered=True) == ()
    seen = stored_pixels(picture, DIGITS.changed(centre=True))[0]
    assert hints(Picture.of_data("again", seen[None]), DIGITS, centered=True) == ()


def test_hints_are_counted_by_kind() -> None:
    dark, size = Hint("brightness", "dark", "invert"), Hint("size", "small", "centre")
    several = [
        ("a", (size,)),
        ("b", (dark,)),
        ("c", ()),
        ("d", (dark._replace(text="darker"), size)),
        ("e", (dark,)),
    ]
    assert grouped(several) == [(dark, 3, "b"), (size, 2, "a")]
    assert grouped([]) == []


def test_mnist_says_that_its_digits_are_centered() -> None:
    assert datasets.get("mnist").centered
    assert not datasets.get("fashion-mnist").centered
