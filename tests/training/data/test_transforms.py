"""Augmentation against one image at a time, and what it must never do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.training import Recipe
from cnnviz.training.data import transforms
from cnnviz.training.data.transforms import Statistics, Transform, scale


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(count: int = 6, channels: int = 3, height: int = 8, width: int = 10) -> torch.Tensor:
    """Images in which every pixel has a value of its own."""
    return torch.arange(count * channels * height * width).reshape(count, channels, height, width).float()


@given(st.integers(1, 8), st.integers(1, 10), st.integers(0, 9))
def test_a_crop_is_a_window_of_its_image(height: int, width: int, seed: int) -> None:
    images = numbered()
    cut = transforms.crop(images, (height, width), generator(seed))
    assert cut.shape == (6, 3, height, width)
    for image, part in zip(images, cut, strict=True):
        place = int(part[0, 0, 0]) % 80
        top, left = divmod(place, 10)
        assert torch.equal(part, image[:, top : top + height, left : left + width])


def test_every_place_is_reached() -> None:
    cut = transforms.crop(numbered(2000, 1, 4, 4), (3, 3), generator())
    corners = set((cut[:, 0, 0, 0].long() % 16).tolist())
    assert corners == {0, 1, 4, 5}


def test_pad_crop_keeps_the_size_and_brings_zeros() -> None:
    images = numbered() + 1
    cut = transforms.pad_crop(images, 2, generator())
    assert cut.shape == images.shape
    assert (cut == 0).any()


def test_mirror_mirrors_the_chosen() -> None:
    images = numbered()
    chosen = torch.tensor([True, False, True, False, False, True])
    seen = transforms.mirror(images, chosen)
    assert torch.equal(seen[0], images[0].flip(-1))
    assert torch.equal(seen[1], images[1])


@given(st.integers(1, 7), st.integers(0, 20))
def test_cutout_blanks_one_square_at_most(side: int, seed: int) -> None:
    cut = transforms.cutout(torch.ones(4, 2, 9, 9), side, generator(seed))
    for image in cut:
        hidden = (image[0] == 0).nonzero()
        assert torch.equal(image[0], image[1])
        assert 0 < len(hidden) <= side * side
        spread = hidden.amax(0) - hidden.amin(0) + 1
        assert spread.max() <= side
        assert len(hidden) == spread.prod()


def test_colour_jitter_stays_in_range_and_nothing_is_nothing() -> None:
    images = numbered() % 256
    seen = transforms.colour_jitter(images, 0.5, generator())
    assert seen.min() >= 0
    assert seen.max() <= 255
    assert not torch.allclose(seen, images)
    assert torch.allclose(transforms.colour_jitter(images, 0.0, generator()), images, atol=1e-3)


def test_pca_jitter_moves_each_image_along_the_colours_it_has() -> None:
    """Where all colors lie on one line, the shift lies on it too; it is drawn once an image."""
    grey = torch.randint(0, 256, (500, 1, 4, 4), generator=generator()).expand(-1, 3, -1, -1).to(torch.uint8)
    statistics = Statistics.of(grey)
    shift = transforms.pca_jitter(grey.float(), statistics.colours, 0.1, generator()) - grey.float()
    flat = shift.flatten(2)
    assert torch.allclose(flat, flat[:, :, :1].expand_as(flat), atol=1e-3)
    assert torch.allclose(flat[:, 0], flat[:, 1], atol=0.05)
    spread = flat[:, 0, 0].std()
    # The one eigenvalue is 3σ² with pixels in [0, 1], its eigenvector (1, 1, 1)/√3.
    wanted = 0.1 * 3 * (statistics.spread[0].item() / 255) ** 2 / 3**0.5 * 255
    assert spread == pytest.approx(wanted, rel=0.15)


def test_ten_crops_are_corners_centre_and_mirrors() -> None:
    images = numbered(2)
    crops = transforms.ten_crops(images, (4, 4)).reshape(10, 2, 3, 4, 4)
    assert torch.equal(crops[0], images[..., :4, :4])
    assert torch.equal(crops[3], images[..., -4:, -4:])
    assert torch.equal(crops[4], images[..., 2:6, 3:7])
    assert torch.equal(crops[5], crops[0].flip(-1))


def test_statistics_are_those_of_all_pixels() -> None:
    images = torch.randint(0, 256, (50, 3, 5, 7), generator=generator(), dtype=torch.uint8)
    result = Statistics.of(images)
    values = images.double()
    assert torch.allclose(result.mean.double(), values.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(result.spread.double(), values.std((0, 2, 3), correction=0), atol=1e-4)
    assert torch.allclose(result.mean_image.double(), values.mean(0), atol=1e-4)
    covariance = torch.cov(values.transpose(0, 1).flatten(1), correction=0).float()
    # Eigenvectors times eigenvalues, times themselves: the covariance's square, of pixels in [0, 1].
    assert torch.allclose(
        result.colours @ result.colours.T, covariance @ covariance / 255**2, rtol=1e-3, atol=1
    )


def test_scales() -> None:
    images = torch.randint(0, 256, (50, 3, 6, 6), generator=generator(), dtype=torch.uint8)
    statistics, pixels = Statistics.of(images), images.float()
    assert torch.equal(scale(pixels, "raw", statistics), pixels)
    assert scale(pixels, "unit", statistics).max() <= 1
    standard = scale(pixels, "standardised", statistics)
    assert torch.allclose(standard.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(standard.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4)
    assert torch.allclose(
        scale(pixels, "raw-minus-mean", statistics).mean(0), torch.zeros(3, 6, 6), atol=1e-3
    )


@pytest.mark.parametrize(
    "values",
    [
        {"pad_crop": 2, "flip": "alternating", "cutout": 3},
        {"crop_from": 12, "flip": "random", "pca_jitter": 0.1, "scale": "raw-minus-mean"},
        {"colour_jitter": 0.3, "scale": "unit", "ten_crop": True},
    ],
)
def test_a_recipe_prepares_batches_of_the_models_size(values: dict[str, object]) -> None:
    images = torch.randint(0, 256, (5, 3, 8, 8), generator=generator(), dtype=torch.uint8)
    recipe = Recipe().changed(values)
    prepared = Transform(recipe, Statistics.of(images), (10, 10))
    train = prepared.train(images, torch.arange(5), 0, generator(1))
    assert train.shape == (5, 3, 10, 10)
    assert torch.equal(train, prepared.train(images, torch.arange(5), 0, generator(1)))
    assert prepared.test(images).shape == (50 if recipe.ten_crop else 5, 3, 10, 10)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "values", [{}, {"pad_crop": 2}, {"crop_from": 12, "flip": "random"}, {"ten_crop": True}]
)
def test_batches_are_laid_out_as_their_shape_says(channels: int, values: dict[str, object]) -> None:
    images = torch.randint(0, 256, (5, 8, 8, channels), generator=generator(), dtype=torch.uint8)
    images = images.permute(0, 3, 1, 2)  # as decoders make them
    prepared = Transform(Recipe().changed(values), Statistics.of(images), (10, 10))
    for batch in (prepared.train(images, torch.arange(5), 0, generator(1)), prepared.test(images)):
        assert batch.stride() == (channels * 100, 100, 10, 1)


def test_alternating_flip_shows_both_sides_in_two_epochs() -> None:
    images = torch.randint(0, 256, (64, 1, 8, 8), generator=generator(), dtype=torch.uint8)
    prepared = Transform(Recipe(flip="alternating", scale="raw"), Statistics.of(images), (8, 8))
    first, second, third = (prepared.train(images, torch.arange(64), e, generator()) for e in range(3))
    assert torch.equal(first, second.flip(-1))
    assert torch.equal(first, third)
    kept = (
        (first == images.float()).all((1, 2, 3)) if first.dim() == 2 else (first == images).flatten(1).all(1)
    )
    assert 16 < int(kept.sum()) < 48
