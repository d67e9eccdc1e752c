"""Transform: preprocessing and data augmentation of a batch of uint8 images on its device; previews of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cnnviz.datasets import convert_images, describe_conversion
from cnnviz.datasets.dataset import LUMA
from cnnviz.datasets.spec import Pixels
from cnnviz.models import Shape
from cnnviz.training.data import StreamedImages, portion
from cnnviz.training.recipe import Recipe, Scale

# Augmentation of a whole batch on its device: every function maps `(N, C, H, W)` to `(N, C, H, W)`.
#
# Random numbers come from the given generator, for reproducibility.

Generator = torch.Generator


def crop(images: Tensor, side: tuple[int, int], generator: Generator) -> Tensor:
    """Crop each image at a random position to `side`."""
    count, _, height, width = images.shape
    top = _integers(height - side[0] + 1, count, images, generator)
    left = _integers(width - side[1] + 1, count, images, generator)
    return windows(images, top, left, side)


def windows(images: Tensor, top: Tensor, left: Tensor, side: tuple[int, int]) -> Tensor:
    """Crop each image n to `side` with the top left corner `(top[n], left[n])`."""
    rows = top[:, None] + torch.arange(side[0], device=images.device)
    columns = left[:, None] + torch.arange(side[1], device=images.device)
    number = torch.arange(len(images), device=images.device)
    cropped = images.permute(0, 2, 3, 1)[number[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


def pad_crop(images: Tensor, margin: int, generator: Generator) -> Tensor:
    """Pad each image with zeros and crop it to its own size at a random position."""
    height, width = images.shape[-2:]
    return crop(functional.pad(images, (margin,) * 4), (height, width), generator)


def mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Flip images horizontally where `chosen`, boolean `(N,)`, is True."""
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def coin(count: int, like: Tensor, generator: Generator) -> Tensor:
    """Draw a fair random boolean per image: `(N,)`."""
    return torch.rand(count, device=like.device, generator=generator) < 0.5


def cutout(images: Tensor, side: int, generator: Generator) -> Tensor:
    """Set a square of side `side` to zero, centered anywhere in the image (DeVries and Taylor, 2017)."""
    count, _, height, width = images.shape
    centre_y = _integers(height, count, images, generator)[:, None]
    centre_x = _integers(width, count, images, generator)[:, None]
    rows = torch.arange(height, device=images.device)[None] - centre_y
    columns = torch.arange(width, device=images.device)[None] - centre_x
    hidden = _within(rows, side)[:, None, :, None] & _within(columns, side)[:, None, None, :]
    return images.masked_fill(hidden, 0)


def colour_jitter(images: Tensor, spread: float, generator: Generator) -> Tensor:
    """Multiply brightness and contrast by random factors in [1 − spread, 1 + spread]; pixels in [0, 255]."""
    shape = (2, len(images), 1, 1, 1)
    brightness, contrast = 1 + spread * (2 * torch.rand(shape, device=images.device, generator=generator) - 1)
    images = images * brightness
    mean = images.mean((1, 2, 3), keepdim=True)
    changed: Tensor = mean + (images - mean) * contrast
    return changed.clamp(0, 255)


def pca_jitter(images: Tensor, components: Tensor, spread: float, generator: Generator) -> Tensor:
    """Apply the AlexNet paper's color shift (Krizhevsky et al., 2012, section 4.1); pixels in [0, 255].

    `components` is `(3, 3)`: columns are eigenvectors of the RGB covariance times their eigenvalues. The
    paper does not give the scale; eigenvalues are squares of colors, and only with pixels in [0, 1] does a
    spread of 0.1 give small shifts, so that is the scale of `Statistics`.
    """
    alpha = spread * torch.randn((len(images), 3), device=images.device, generator=generator)
    return images + (alpha @ components.T)[:, :, None, None]


def ten_crops(images: Tensor, side: tuple[int, int]) -> Tensor:
    """Return the four corner crops, the center crop, and their flips: `(10·N, C, *side)`, crop by crop."""
    height, width = images.shape[-2] - side[0], images.shape[-1] - side[1]
    corners = ((0, 0), (0, width), (height, 0), (height, width), (height // 2, width // 2))
    five = [images[..., y : y + side[0], x : x + side[1]] for y, x in corners]
    return torch.cat([*five, *(part.flip(-1) for part in five)])


def _integers(end: int, count: int, like: Tensor, generator: Generator) -> Tensor:
    return torch.randint(end, (count,), device=like.device, generator=generator)


def _within(distance: Tensor, side: int) -> Tensor:
    return (distance >= -(side // 2)) & (distance < side - side // 2)


IN_CACHE = 1 << 18
"""Values per chunk of the statistics: 2 MiB in double precision, which fit into a core's cache.

With 16 times as many, 60,000 images of 28×28 took 3.6 times as long, 50,000 of 3×32×32 took 2.8.
"""


@dataclass(frozen=True)
class Statistics:
    """Statistics of the training images for scaling and color shifts, for pixels in [0, 255].

    `mean` and `spread` are `(C,)`, `mean_image` is `(C, H, W)`, `colours` the `(C, C)` matrix of principal
    components times their eigenvalues, the latter for pixels in [0, 1].
    """

    mean: Tensor
    spread: Tensor
    mean_image: Tensor
    colours: Tensor

    @classmethod
    def of(cls, images: Tensor | StreamedImages) -> Statistics:
        """Compute the statistics of uint8 images `(N, C, H, W)` in double precision.

        For lazily decoded images from a sample. At most some 64 MiB are needed whatever the number and size
        of the images: sums of integers are exact, so chunks do not change the result.
        """
        count, channels, height, width = images.shape
        rows = images.sample() if isinstance(images, StreamedImages) else None
        count = count if rows is None else len(rows)
        device = torch.device("cpu") if images.device.type == "mps" else images.device  # MPS has no float64
        total = torch.zeros(channels, height, width, dtype=torch.float64, device=device)
        products = torch.zeros(channels, channels, dtype=torch.float64, device=device)
        values_at_once = IN_CACHE if rows is None else None  # Decoding threads need larger chunks.
        lines = min(height, portion((1, channels, width), values_at_once))
        step = portion((channels, lines, width), values_at_once)
        for start in range(0, count, step):
            part = images[start : start + step] if rows is None else images[rows[start : start + step]]
            for top in range(0, height, lines):
                values = part[:, :, top : top + lines].to(device).double()
                total[:, top : top + lines] += values.sum(0)
                flat = values.transpose(0, 1).reshape(channels, -1)
                products += flat @ flat.T
        mean = total.mean((1, 2)) / count
        covariance = products / (count * height * width) - mean[:, None] * mean[None]
        return cls.from_moments(total / count, covariance)

    @classmethod
    def from_moments(cls, mean_image: Tensor, covariance: Tensor) -> Statistics:
        """Build statistics from a mean image `(C, H, W)` and the `(C, C)` pixel covariance, float64."""
        # On the CPU: loading a GPU's solver library takes longer than the computation.
        eigenvalues, vectors = torch.linalg.eigh(covariance.cpu() / 255**2)
        colours = (255 * vectors * eigenvalues.clamp(min=0)).to(covariance.device)
        spread = covariance.diagonal().clamp(min=0).sqrt()
        return cls(mean_image.mean((1, 2)).float(), spread.float(), mean_image.float(), colours.float())


@dataclass(frozen=True)
class Transform:
    """Preprocessing and augmentation: uint8 images `(N, C, H, W)` to contiguous float input `(N, C, *side)`.

    Raises `ValueError` if a crop is larger than the image that it is taken from.
    """

    recipe: Recipe
    statistics: Statistics
    side: tuple[int, int]

    def __post_init__(self) -> None:
        """Raise `ValueError` if crops are larger than `crop_from`."""
        size, (height, width) = self.recipe.crop_from, self.side
        if size is not None and size < max(self.side):
            raise ValueError(
                f"Crops of {height}×{width} pixels cannot be taken from {size}×{size}: 'crop_from' must be "
                f"at least {max(self.side)} for this model."
            )

    def train(self, images: Tensor, number: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        """Augment a training batch; `number` `(N,)` holds the indices of the images."""
        recipe = self.recipe
        x = self._crop(self._enlarged(images), generator)
        x = self._mirrored(x, number, epoch, generator)
        if recipe.colour_jitter:
            x = colour_jitter(x, recipe.colour_jitter, generator)
        if recipe.pca_jitter and x.shape[1] == 3:
            x = pca_jitter(x, self.statistics.colours, recipe.pca_jitter, generator)
        x = self.scaled(x)
        return contiguous(cutout(x, recipe.cutout, generator) if recipe.cutout else x)

    def test(self, images: Tensor) -> Tensor:
        """Preprocess a batch for evaluation: center crop, or all ten crops one after the other."""
        x = self._enlarged(images)
        if self.recipe.ten_crop:
            return contiguous(self.scaled(ten_crops(self._with_margin(x), self.side)))
        height, width = x.shape[-2] - self.side[0], x.shape[-1] - self.side[1]
        top, left = height // 2, width // 2
        return contiguous(self.scaled(x[..., top : top + self.side[0], left : left + self.side[1]]))

    def scaled(self, pixels: Tensor) -> Tensor:
        """Scale pixels in [0, 255] as the recipe specifies."""
        return scale(pixels, self.recipe.scale, self.statistics)

    def _enlarged(self, images: Tensor) -> Tensor:
        x, target = images.float(), (self.recipe.crop_from,) * 2 if self.recipe.crop_from else self.side
        if tuple(x.shape[-2:]) == tuple(target):
            return x
        return functional.interpolate(x, target, mode="bilinear", align_corners=False)

    def _crop(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.recipe.pad_crop:
            return pad_crop(x, self.recipe.pad_crop, generator)
        return crop(x, self.side, generator) if self.recipe.crop_from else x

    def _with_margin(self, x: Tensor) -> Tensor:
        """Pad images of the model's own size by an eighth, from which ten crops are taken."""
        if tuple(x.shape[-2:]) != self.side:
            return x
        margin = max(1, self.side[0] // 8)
        return functional.pad(x, (margin,) * 4, mode="reflect")

    def _mirrored(self, x: Tensor, number: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        if self.recipe.flip == "none":
            return x
        if self.recipe.flip == "random":
            return mirror(x, coin(len(x), x, generator))
        return mirror(x, (_hash_bit(number, self.recipe.seed) + epoch) % 2 == 0)


def contiguous(images: Tensor) -> Tensor:
    """Return images `(N, C, H, W)` with contiguous strides.

    Those of cropped ones are channels last, and with a single channel they count as contiguous all the same.
    A convolution answers in their layout, and a forward that calls `view` on its maps raises.
    """
    return images.contiguous().flatten().view(images.shape)


def scale(pixels: Tensor, how: Scale, statistics: Statistics) -> Tensor:
    """Scale pixels `(N, C, H, W)` in [0, 255] to `unit` [0, 1], `standardised`, `raw`, or `raw-minus-mean`.

    The latter subtracts the mean image if sizes match, as in the AlexNet paper, else the mean color.
    """
    if how == "unit":
        return pixels / 255
    if how == "raw":
        return pixels
    if how == "standardised":
        return (pixels - statistics.mean[:, None, None]) / _spread(statistics)
    return pixels - _mean_to_subtract(pixels, statistics)


def unscale(values: Tensor, how: Scale, statistics: Statistics) -> Tensor:
    """Invert `scale`: return pixels in [0, 255] for display."""
    if how == "unit":
        return values * 255
    if how == "raw":
        return values
    if how == "standardised":
        return values * _spread(statistics) + statistics.mean[:, None, None]
    return values + _mean_to_subtract(values, statistics)


def _spread(statistics: Statistics) -> Tensor:
    return statistics.spread.clamp(min=1e-3)[:, None, None]


def _mean_to_subtract(pixels: Tensor, statistics: Statistics) -> Tensor:
    same = statistics.mean_image.shape[-2:] == pixels.shape[-2:]
    return statistics.mean_image if same else statistics.mean[:, None, None]


def _hash_bit(number: Tensor, seed: int) -> Tensor:
    """Return a fixed pseudo-random bit per image, by Knuth's multiplicative hashing."""
    return ((number + seed % 1_000_003) * 2_654_435_761 >> 16) & 1


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
        (recipe.crop_from is not None, "A window of {side} at a random place; in tests, the center."),
        (recipe.pad_crop > 0, "{pad_crop} black pixels around it, then a window of {side} at random."),
        (recipe.flip == "random", "Mirrored left to right, or not, by a coin."),
        (recipe.flip == "alternating", "Mirrored in every other epoch."),
        (recipe.colour_jitter > 0, "Brightness and contrast changed by up to {percent} % at random."),
        (
            recipe.pca_jitter > 0 and channels == 3,
            "Shifted along the data's principal colors by a random amount (standard deviation "
            "{pca_jitter:g}).",
        ),
        (recipe.pca_jitter > 0 and channels != 3, "No color shift: that takes three channels."),
        (True, scales[recipe.scale]),
        (recipe.cutout > 0, "A square of side {cutout} set to zero, anywhere."),
        (recipe.ten_crop, "In tests, ten crops are judged and averaged."),
    ]
