"""Images for a model that expects another size, or colour for grey; and a sentence that says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.datasets.spec import DataError
from cnnviz.models import Shape

if TYPE_CHECKING:
    import torch

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, what Pillow and most programs take for grey."""
AT_ONCE = 1 << 24
"""Pixel values handled at once: floats of a whole data set would need gigabytes."""


def how(have: Shape, want: Shape) -> str:
    """What `adapt` does to an image `have` for a model that takes `want`, in a sentence; empty for nothing.

    Raises `DataError` for numbers of channels other than 1 and 3, unless they are the same.
    """
    steps = []
    if have[0] != want[0]:
        if {have[0], want[0]} != {1, 3}:
            raise DataError(
                f"Images of {have[0]} channels cannot be made into {want[0]}: only grey and colour can."
            )
        steps.append("grey copied into three channels" if want[0] == 3 else "colour turned to grey (BT.601)")
    if have[1:] != want[1:]:
        verb = "enlarged" if want[1] * want[2] > have[1] * have[2] else "reduced"
        cut = _crop(have, want) != have[1:]
        steps.append(
            f"{'the middle ' if cut else ''}{verb} from {have[1]}×{have[2]} to {want[1]}×{want[2]} pixels "
            "(bilinear)"
        )
    text = ", ".join(steps)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def adapt(images: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Images uint8 `(N, C, H, W)` as uint8 `(N, *shape)` on the same device; the same if nothing is to do.

    The middle is cut to the wanted proportions, then resized, bilinear with antialiasing. Raises `DataError`
    as `how` does.
    """
    import torch

    channels, height, width = images.shape[1:]
    have = (channels, height, width)
    if not how(have, shape):
        return images
    adapted = torch.empty((len(images), *shape), dtype=torch.uint8, device=images.device)
    step = max(1, AT_ONCE // max(channels * height * width, shape[0] * shape[1] * shape[2]))
    for start in range(0, len(images), step):
        adapted[start : start + step] = _adapted(images[start : start + step], have, shape)
    return adapted


def _adapted(images: torch.Tensor, have: Shape, want: Shape) -> torch.Tensor:
    import torch
    from torch.nn.functional import interpolate

    height, width = _crop(have, want)
    top, left = (have[1] - height) // 2, (have[2] - width) // 2
    values = images[:, :, top : top + height, left : left + width].float()
    if have[0] == 3 and want[0] == 1:
        values = (values * torch.tensor(LUMA, device=values.device)[:, None, None]).sum(1, keepdim=True)
    if (height, width) != want[1:]:
        values = interpolate(values, want[1:], mode="bilinear", antialias=True, align_corners=False)
    return values.round().clamp(0, 255).to(torch.uint8).expand(-1, want[0], -1, -1)


def _crop(have: Shape, want: Shape) -> tuple[int, int]:
    """The largest part `(H, W)` of the image with the proportions that are wanted, to the pixel."""
    _, height, width = have
    scale = min(height / want[1], width / want[2])
    return min(height, max(1, round(want[1] * scale))), min(width, max(1, round(want[2] * scale)))
