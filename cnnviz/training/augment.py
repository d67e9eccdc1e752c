"""Augmentation of a whole batch on its device: every function takes and gives `(N, C, H, W)`.

Randomness comes from the generator that is handed in, so that a run can be repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

Generator = torch.Generator


def crop(images: Tensor, side: tuple[int, int], generator: Generator) -> Tensor:
    """A window of `side` at a random place, another for each image."""
    count, _, height, width = images.shape
    top = _integers(height - side[0] + 1, count, images, generator)
    left = _integers(width - side[1] + 1, count, images, generator)
    return windows(images, top, left, side)


def windows(images: Tensor, top: Tensor, left: Tensor, side: tuple[int, int]) -> Tensor:
    """The window of `side` whose corner is `(top[n], left[n])`, for each image n."""
    rows = top[:, None] + torch.arange(side[0], device=images.device)
    columns = left[:, None] + torch.arange(side[1], device=images.device)
    number = torch.arange(len(images), device=images.device)
    picked = images.permute(0, 2, 3, 1)[number[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def pad_crop(images: Tensor, margin: int, generator: Generator) -> Tensor:
    """Zeros around the image, then a random window of its own size."""
    height, width = images.shape[-2:]
    return crop(functional.pad(images, (margin,) * 4), (height, width), generator)


def mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Left to right where `chosen`, a boolean `(N,)`, says so."""
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def coin(count: int, like: Tensor, generator: Generator) -> Tensor:
    """A fair coin for each image: booleans `(N,)`."""
    return torch.rand(count, device=like.device, generator=generator) < 0.5


def cutout(images: Tensor, side: int, generator: Generator) -> Tensor:
    """A square of `side` set to zero, its centre anywhere in the image (DeVries and Taylor, 2017)."""
    count, _, height, width = images.shape
    centre_y = _integers(height, count, images, generator)[:, None]
    centre_x = _integers(width, count, images, generator)[:, None]
    rows = torch.arange(height, device=images.device)[None] - centre_y
    columns = torch.arange(width, device=images.device)[None] - centre_x
    hidden = _within(rows, side)[:, None, :, None] & _within(columns, side)[:, None, None, :]
    return images.masked_fill(hidden, 0)


def colour_jitter(images: Tensor, spread: float, generator: Generator) -> Tensor:
    """Brightness and contrast times a number from 1 − spread to 1 + spread; pixels from 0 to 255."""
    shape = (2, len(images), 1, 1, 1)
    brightness, contrast = 1 + spread * (2 * torch.rand(shape, device=images.device, generator=generator) - 1)
    images = images * brightness
    mean = images.mean((1, 2, 3), keepdim=True)
    changed: Tensor = mean + (images - mean) * contrast
    return changed.clamp(0, 255)


def pca_jitter(images: Tensor, components: Tensor, spread: float, generator: Generator) -> Tensor:
    """The AlexNet paper's colour shift (Krizhevsky et al., 2012, section 4.1); pixels from 0 to 255.

    `components` is `(3, 3)`: a column an eigenvector of the RGB covariance times its eigenvalue. The paper
    does not say on which scale; eigenvalues are squares of colours, and only with pixels in [0, 1] does a
    spread of 0.1 make small shifts, so that is the scale of `Statistics`.
    """
    alpha = spread * torch.randn((len(images), 3), device=images.device, generator=generator)
    return images + (alpha @ components.T)[:, :, None, None]


def ten_crops(images: Tensor, side: tuple[int, int]) -> Tensor:
    """The four corners and the centre, and their mirror images: `(10·N, C, *side)`, crop by crop."""
    height, width = images.shape[-2] - side[0], images.shape[-1] - side[1]
    corners = ((0, 0), (0, width), (height, 0), (height, width), (height // 2, width // 2))
    five = [images[..., y : y + side[0], x : x + side[1]] for y, x in corners]
    return torch.cat([*five, *(part.flip(-1) for part in five)])


def _integers(end: int, count: int, like: Tensor, generator: Generator) -> Tensor:
    return torch.randint(end, (count,), device=like.device, generator=generator)


def _within(distance: Tensor, side: int) -> Tensor:
    return (distance >= -(side // 2)) & (distance < side - side // 2)
