"""What the Data page shows of augmentation is what training does, in pixels."""

import numpy as np
import pytest
import torch

from cnnviz.datasets import convert_images
from cnnviz.training.data.transforms import (
    Statistics,
    Transform,
    preview,
    scale,
    statistics_of,
    steps,
    unscale,
)
from cnnviz.training.recipe import Recipe, Scale

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 12, 12), dtype=np.uint8)
GREY = IMAGES[:, :1]
SHAPE = (3, 12, 12)


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = images / 255
    flat = values.transpose(1, 0, 2, 3).reshape(images.shape[1], -1)
    return values.mean(axis=0), np.atleast_2d(np.cov(flat, bias=True))


@pytest.mark.parametrize("images", [IMAGES, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_that_training_would_compute(images: np.ndarray, channels: int) -> None:
    result = statistics_of(*moments(images), channels)
    theirs = Statistics.of(convert_images(torch.from_numpy(images), (channels, 12, 12)))
    # Turning color into gray rounds each pixel; a linear map of the means does not.
    assert result.mean.tolist() == pytest.approx(theirs.mean.tolist(), abs=0.5)
    assert result.spread.tolist() == pytest.approx(theirs.spread.tolist(), rel=0.01)
    assert torch.allclose(result.mean_image, theirs.mean_image, atol=0.5)
    ours, wanted = (each.colours @ each.colours.T for each in (result, theirs))
    assert torch.allclose(ours, wanted, rtol=0.01, atol=2)


@pytest.mark.parametrize("how", ["unit", "standardised", "raw", "raw-minus-mean"])
def test_a_scale_is_undone(how: Scale) -> None:
    statistics = statistics_of(*moments(IMAGES), 3)
    pixels = torch.from_numpy(IMAGES).float()
    assert torch.allclose(unscale(scale(pixels, how, statistics), how, statistics), pixels, atol=1e-3)


def test_without_augmentation_every_draw_is_the_picture() -> None:
    result = preview(IMAGES[0], Recipe(), statistics_of(*moments(IMAGES), 3), SHAPE, draws=3, seed=1)
    assert (result.drawn == IMAGES[0]).all()
    assert (result.tested == IMAGES[0]).all()


def test_draws_are_what_training_draws() -> None:
    recipe = Recipe(pad_crop=2, flip="random", cutout=4, colour_jitter=0.3, pca_jitter=0.1, scale="unit")
    statistics = statistics_of(*moments(IMAGES), 3)
    result = preview(IMAGES[5], recipe, statistics, SHAPE, draws=4, seed=9, number=5)
    transform, generator = Transform(recipe, statistics, (12, 12)), torch.Generator().manual_seed(9)
    stored = torch.from_numpy(IMAGES[5:6])
    for epoch, drawn in enumerate(result.drawn):
        values = transform.train(stored, torch.tensor([5]), epoch, generator)
        assert (drawn == (values * 255).round().clamp(0, 255).to(torch.uint8).numpy()).all()
    assert len({drawn.tobytes() for drawn in result.drawn}) == 4
    again = preview(IMAGES[5], recipe, statistics, SHAPE, draws=4, seed=9, number=5)
    assert (again.drawn == result.drawn).all()


def test_alternating_flips_alternate() -> None:
    recipe = Recipe(flip="alternating")
    result = preview(IMAGES[0], recipe, statistics_of(*moments(IMAGES), 3), SHAPE, draws=4, seed=0)
    flipped = [bool((drawn == IMAGES[0][..., ::-1]).all()) for drawn in result.drawn]
    assert flipped in ([True, False, True, False], [False, True, False, True])


def test_the_hidden_square_of_standardised_pixels_is_the_mean_colour() -> None:
    statistics = statistics_of(*moments(IMAGES), 3)
    result = preview(IMAGES[0], Recipe(cutout=4), statistics, SHAPE, draws=1, seed=0)
    hidden = (result.drawn[0] != IMAGES[0]).all(axis=0)
    assert 0 < hidden.sum() <= 16
    assert result.drawn[0][:, hidden][:, 0].tolist() == statistics.mean.round().tolist()


def test_sizes_channels_and_ten_crops() -> None:
    statistics = statistics_of(*moments(GREY), 3)
    recipe = Recipe(crop_from=20, ten_crop=True)
    result = preview(GREY[0], recipe, statistics, (3, 16, 16), draws=2, seed=0)
    assert result.drawn.shape == (2, 3, 16, 16)
    assert result.tested.shape == (10, 3, 16, 16)
    assert (result.drawn[:, 0] == result.drawn[:, 1]).all()


def test_a_crop_larger_than_its_picture_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="'crop_from' must be at least 227 for this model"):
        Transform(Recipe(crop_from=200), statistics_of(*moments(IMAGES), 3), (227, 227))


def test_the_steps_are_told_in_order() -> None:
    recipe = Recipe(
        crop_from=40, flip="random", colour_jitter=0.25, pca_jitter=0.1, cutout=8, scale="raw", ten_crop=True
    )
    text = steps(recipe, (1, 28, 28), (3, 32, 32))
    assert text == [
        "Gray copied into three channels.",
        "Enlarged from 28×28 to 40×40 pixels (bilinear).",
        "A window of 32×32 at a random place; in tests, the center.",
        "Mirrored left to right, or not, by a coin.",
        "Brightness and contrast changed by up to 25 % at random.",
        "Shifted along the data's principal colors by a random amount (standard deviation 0.1).",
        "Left as pixels from 0 to 255.",
        "A square of side 8 set to zero, anywhere.",
        "In tests, ten crops are judged and averaged.",
    ]
    assert steps(Recipe(scale="unit"), (1, 28, 28), (1, 28, 28)) == ["Divided by 255, to lie in [0, 1]."]
    assert "No color shift" in steps(Recipe(pca_jitter=0.1), (1, 28, 28), (1, 20, 20))[1]
