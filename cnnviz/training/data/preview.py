"""Preview of augmentation: images transformed by the training code, converted back to pixels for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnviz.datasets import convert_images, describe_conversion
from cnnviz.datasets.dataset import LUMA
from cnnviz.datasets.spec import Pixels
from cnnviz.models import Shape
from cnnviz.training.data.transforms import Statistics, Transform, unscale
from cnnviz.training.recipe import Recipe

FIELDS = ("pad_crop", "crop_from", "flip", "colour_jitter", "pca_jitter", "cutout", "scale")
"""Recipe fields that change the appearance of an image."""


@dataclass(frozen=True)
class Preview:
    """An image as evaluated and as seen in training; uint8 pixels."""

    tested: Pixels
    """`(1, C, H, W)`, or the ten crops, `(10, C, H, W)`."""
    drawn: Pixels
    """Random augmentations, one per epoch, `(N, C, H, W)`."""


def preview(
    image: Pixels,
    recipe: Recipe,
    statistics: Statistics,
    shape: Shape,
    draws: int,
    seed: int,
    number: int = 0,
) -> Preview:
    """Apply the recipe's transform to one image, for a model with input shape `(C, H, W)`.

    Args:
        image: uint8 `(C, H, W)`, as stored.
        recipe: The recipe.
        statistics: Statistics of the training images in the model's channels.
        shape: Shape of the model's input.
        draws: Number of random augmentations; each is of another epoch.
        seed: Seed of the augmentations.
        number: Index of the training image: alternating flips depend on it.

    Raises:
        ValueError: The recipe's crops do not fit this input.
        DataError: The channels cannot be converted.
    """
    transform = Transform(recipe, statistics, (shape[1], shape[2]))
    stored = convert_images(torch.from_numpy(np.array(image[None])), (shape[0], *image.shape[1:]))
    generator, indices = torch.Generator().manual_seed(seed), torch.tensor([number])
    drawn = [transform.train(stored, indices, epoch, generator) for epoch in range(draws)]
    pixels = (_pixels(values, recipe, statistics) for values in (transform.test(stored), torch.cat(drawn)))
    return Preview(*pixels)


def _pixels(values: Tensor, recipe: Recipe, statistics: Statistics) -> Pixels:
    pixels = unscale(values, recipe.scale, statistics).round().clamp(0, 255)
    return np.asarray(pixels.to(torch.uint8).numpy())


def statistics_of(
    mean_image: NDArray[np.float64], covariance: NDArray[np.float64], channels: int
) -> Statistics:
    """Derive the statistics for a model's channels from those of the stored images in [0, 1].

    Channel conversion is linear, so the images are not needed (except for the rounding of each pixel).
    """
    stored_channels = len(mean_image)
    conversion = np.eye(stored_channels)
    if stored_channels == 1 and channels == 3:
        conversion = np.ones((3, 1))
    elif stored_channels == 3 and channels == 1:
        conversion = np.array([LUMA])
    mean = np.einsum("dc,chw->dhw", conversion, mean_image * 255)
    return Statistics.from_moments(
        torch.from_numpy(mean), torch.from_numpy(conversion @ covariance @ conversion.T * 255**2)
    )


def steps(recipe: Recipe, have: Shape, shape: Shape) -> list[str]:
    """Describe the preprocessing of an image of shape `have` for a model's input, one sentence per step.

    Raises:
        DataError: The channels cannot be converted.
    """
    side = (shape[1], shape[2])
    target = (recipe.crop_from,) * 2 if recipe.crop_from else side
    sentences = [describe_conversion(have, (shape[0], *have[1:]))]
    if have[1:] != target:
        larger = target[0] * target[1] > have[1] * have[2]
        verb = "Enlarged" if larger else "Reduced"
        sentences.append(f"{verb} from {have[1]}×{have[2]} to {target[0]}×{target[1]} pixels (bilinear).")
    sentences += [
        sentence.format(**_values(recipe, side)) for on, sentence in _describe_steps(recipe, shape[0]) if on
    ]
    return [sentence for sentence in sentences if sentence]


def _values(recipe: Recipe, side: tuple[int, int]) -> dict[str, Any]:
    return recipe.model_dump() | {
        "side": f"{side[0]}×{side[1]}",
        "percent": f"{100 * recipe.colour_jitter:g}",
    }


def _describe_steps(recipe: Recipe, channels: int) -> list[tuple[bool, str]]:
    """Return pairs of whether a step applies, and its description."""
    scales = {
        "unit": "Divided by 255, to lie in [0, 1].",
        "standardised": "Mean subtracted and divided by the standard deviation, channel by channel.",
        "raw": "Left as pixels from 0 to 255.",
        "raw-minus-mean": "The mean image is subtracted.",
    }
    return [
        (recipe.crop_from is not None, "A window of {side} at a random place; in tests, the centre."),
        (recipe.pad_crop > 0, "{pad_crop} black pixels around it, then a window of {side} at random."),
        (recipe.flip == "random", "Mirrored left to right, or not, by a coin."),
        (recipe.flip == "alternating", "Mirrored in every other epoch."),
        (recipe.colour_jitter > 0, "Brightness and contrast changed by up to {percent} % at random."),
        (
            recipe.pca_jitter > 0 and channels == 3,
            "Shifted along the data's principal colours by a random amount (standard deviation "
            "{pca_jitter:g}).",
        ),
        (recipe.pca_jitter > 0 and channels != 3, "No colour shift: that takes three channels."),
        (True, scales[recipe.scale]),
        (recipe.cutout > 0, "A square of side {cutout} set to zero, anywhere."),
        (recipe.ten_crop, "In tests, ten crops are judged and averaged."),
    ]
