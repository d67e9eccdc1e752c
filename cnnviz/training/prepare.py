"""From stored images to what the model reads: sizes, augmentation, and the scale of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz.training import augment
from cnnviz.training.recipe import Recipe, Scale
from cnnviz.training.streamed import StreamedImages, portion

IN_CACHE = 1 << 18
"""Values that statistics are computed of at once: 2 MiB in double precision, which stay in a core's cache.
With sixteen times as many, 60,000 images of 28×28 took 3.6 times as long, 50,000 of 3×32×32 took 2.8."""


@dataclass(frozen=True)
class Statistics:
    """What a scale needs to know of the training images, in pixels from 0 to 255.

    `mean` and `spread` are `(C,)`, `mean_image` is `(C, H, W)`, `colours` the `(C, C)` matrix of principal
    components times their eigenvalues, these of pixels in [0, 1].
    """

    mean: Tensor
    spread: Tensor
    mean_image: Tensor
    colours: Tensor

    @classmethod
    def of(cls, images: Tensor | StreamedImages) -> Statistics:
        """Compute the statistics of uint8 images `(N, C, H, W)`, summed in double precision.

        Of images that stream, a sample stands for all. Whatever the number and size of the images, at most
        some 64 MiB are taken beside them: sums of whole numbers are exact, so portions do not change them.
        """
        count, channels, height, width = images.shape
        rows = images.sample() if isinstance(images, StreamedImages) else None
        count = count if rows is None else len(rows)
        total = torch.zeros(channels, height, width, dtype=torch.float64, device=images.device)
        products = torch.zeros(channels, channels, dtype=torch.float64, device=images.device)
        values_at_once = IN_CACHE if rows is None else None  # Decoding wants many for its threads.
        lines = min(height, portion((1, channels, width), values_at_once))
        step = portion((channels, lines, width), values_at_once)
        for start in range(0, count, step):
            part = images[start : start + step] if rows is None else images[rows[start : start + step]]
            for top in range(0, height, lines):
                values = part[:, :, top : top + lines].double()
                total[:, top : top + lines] += values.sum(0)
                flat = values.transpose(0, 1).reshape(channels, -1)
                products += flat @ flat.T
        mean = total.mean((1, 2)) / count
        covariance = products / (count * height * width) - mean[:, None] * mean[None]
        return cls.from_moments(total / count, covariance)

    @classmethod
    def from_moments(cls, mean_image: Tensor, covariance: Tensor) -> Statistics:
        """The statistics from a mean image `(C, H, W)` and the `(C, C)` covariance of all pixels, float64."""
        # On the CPU: a GPU's solver takes longer to be loaded than this takes.
        eigenvalues, vectors = torch.linalg.eigh(covariance.cpu() / 255**2)
        colours = (255 * vectors * eigenvalues.clamp(min=0)).to(covariance.device)
        spread = covariance.diagonal().clamp(min=0).sqrt()
        return cls(mean_image.mean((1, 2)).float(), spread.float(), mean_image.float(), colours.float())


@dataclass(frozen=True)
class Preparation:
    """Turns uint8 images `(N, C, H, W)` into the model's float input `(N, C, *side)`.

    Raises `ValueError` for crops that are larger than what the recipe enlarges to.
    """

    recipe: Recipe
    statistics: Statistics
    side: tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse crops that cannot be taken."""
        size, (height, width) = self.recipe.crop_from, self.side
        if size is not None and size < max(self.side):
            raise ValueError(
                f"Crops of {height}×{width} pixels cannot be taken from {size}×{size}: 'crop_from' must be "
                f"at least {max(self.side)} for this model."
            )

    def train(self, images: Tensor, number: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        """A training batch, augmented; `number` `(N,)` says which images they are."""
        recipe = self.recipe
        x = self._crop(self._enlarged(images), generator)
        x = self._mirrored(x, number, epoch, generator)
        if recipe.colour_jitter:
            x = augment.colour_jitter(x, recipe.colour_jitter, generator)
        if recipe.pca_jitter and x.shape[1] == 3:
            x = augment.pca_jitter(x, self.statistics.colours, recipe.pca_jitter, generator)
        x = self.scaled(x)
        return augment.cutout(x, recipe.cutout, generator) if recipe.cutout else x

    def test(self, images: Tensor) -> Tensor:
        """A batch as it is judged: the centre, or all ten crops one after the other."""
        x = self._enlarged(images)
        if self.recipe.ten_crop:
            return self.scaled(augment.ten_crops(self._with_margin(x), self.side))
        height, width = x.shape[-2] - self.side[0], x.shape[-1] - self.side[1]
        top, left = height // 2, width // 2
        return self.scaled(x[..., top : top + self.side[0], left : left + self.side[1]])

    def scaled(self, pixels: Tensor) -> Tensor:
        """Pixels from 0 to 255 on the recipe's scale."""
        return scale(pixels, self.recipe.scale, self.statistics)

    def _enlarged(self, images: Tensor) -> Tensor:
        x, target = images.float(), (self.recipe.crop_from,) * 2 if self.recipe.crop_from else self.side
        if tuple(x.shape[-2:]) == tuple(target):
            return x
        return functional.interpolate(x, target, mode="bilinear", align_corners=False)

    def _crop(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.recipe.pad_crop:
            return augment.pad_crop(x, self.recipe.pad_crop, generator)
        return augment.crop(x, self.side, generator) if self.recipe.crop_from else x

    def _with_margin(self, x: Tensor) -> Tensor:
        """Ten crops of an image of the model's own size are taken from a margin of an eighth around it."""
        if tuple(x.shape[-2:]) != self.side:
            return x
        margin = max(1, self.side[0] // 8)
        return functional.pad(x, (margin,) * 4, mode="reflect")

    def _mirrored(self, x: Tensor, number: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        if self.recipe.flip == "none":
            return x
        if self.recipe.flip == "random":
            return augment.mirror(x, augment.coin(len(x), x, generator))
        return augment.mirror(x, (_hashed(number, self.recipe.seed) + epoch) % 2 == 0)


def scale(pixels: Tensor, how: Scale, statistics: Statistics) -> Tensor:
    """Pixels `(N, C, H, W)` from 0 to 255 as `unit` [0, 1], `standardised`, `raw`, or `raw-minus-mean`.

    The mean that is taken off raw pixels is the mean image where sizes agree, as in the AlexNet paper, else
    the mean colour.
    """
    if how == "unit":
        return pixels / 255
    if how == "raw":
        return pixels
    if how == "standardised":
        return (pixels - statistics.mean[:, None, None]) / _spread(statistics)
    return pixels - _taken_off(pixels, statistics)


def unscale(values: Tensor, how: Scale, statistics: Statistics) -> Tensor:
    """What `scale` did, undone: pixels from 0 to 255 again, to be looked at."""
    if how == "unit":
        return values * 255
    if how == "raw":
        return values
    if how == "standardised":
        return values * _spread(statistics) + statistics.mean[:, None, None]
    return values + _taken_off(values, statistics)


def _spread(statistics: Statistics) -> Tensor:
    return statistics.spread.clamp(min=1e-3)[:, None, None]


def _taken_off(pixels: Tensor, statistics: Statistics) -> Tensor:
    same = statistics.mean_image.shape[-2:] == pixels.shape[-2:]
    return statistics.mean_image if same else statistics.mean[:, None, None]


def _hashed(number: Tensor, seed: int) -> Tensor:
    """A fixed pseudo-random bit of each image, after Knuth's multiplicative hashing."""
    return ((number + seed % 1_000_003) * 2_654_435_761 >> 16) & 1
