"""The modules that a Keras configuration becomes: torch's own where there is one, channels first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class KerasNetwork(nn.Module):
    """Layers called in an order of their own.

    Args:
        layers: Modules by name; a name with dots lies in modules of its own.
        steps: For each call the layer (none hands on what it takes) and which results it takes, 0 the image.
    """

    def __init__(self, layers: Mapping[str, nn.Module], steps: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        super().__init__()
        for name, layer in layers.items():
            *around, last = name.split(".")
            place: nn.Module = self
            for part in around:
                if part not in place._modules:
                    place._modules[part] = nn.Module()
                inner = place._modules[part]
                assert inner is not None
                place = inner
            place._modules[last] = layer
        self._steps = list(steps)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (or probabilities, where the configuration ends with softmax) of `(N, C, H, W)`."""
        modules = dict(self.named_modules())
        results = [images]
        for name, sources in self._steps:
            given = [results[one] for one in sources]
            results.append(modules[name](*given) if name else given[0])
        return results[-1]


class Join(nn.Module):
    """Joins tensors: sum, product, mean, maximum, difference, or one behind the other along channels."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, *given: Tensor) -> Tensor:
        """The tensors joined."""
        if self.how == "concatenate":
            return torch.cat(given, 1)
        found = given[0]
        for one in given[1:]:
            if self.how == "multiply":
                found = found * one
            elif self.how == "subtract":
                found = found - one
            elif self.how == "maximum":
                found = torch.maximum(found, one)
            else:
                found = found + one
        return found / len(given) if self.how == "average" else found


class GlobalPool(nn.Module):
    """Mean or maximum of each map."""

    def __init__(self, kind: str, keep: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveMaxPool2d(1) if kind == "max" else nn.AdaptiveAvgPool2d(1)
        self.keep = keep

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C)`, or `(N, C, 1, 1)`."""
        found: Tensor = self.pool(maps)
        return found if self.keep else found.flatten(1)


class Rescaling(nn.Module):
    """A scale and an offset for every value."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, values: Tensor) -> Tensor:
        """The values rescaled."""
        return values * self.scale + self.offset


def convolution(
    channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int], pads: Sequence[int],
    dilation: tuple[int, int], groups: int, bias: bool,
) -> nn.Module:  # fmt: skip
    """A convolution; padding that is not the same on both sides, as Keras's `same`, is a layer before it."""
    even = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if even else (0, 0)
    made = nn.Conv2d(channels, filters, kernel, stride, padding, dilation, groups, bias)
    return made if even else nn.Sequential(nn.ZeroPad2d((pads[0], pads[1], pads[2], pads[3])), made)


def pooling(kind: str, kernel: tuple[int, int], stride: tuple[int, int], pads: Sequence[int]) -> nn.Module:
    """Pooling; uneven padding is a layer before it, of the least number where the maximum is taken."""
    even = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if even else (0, 0)
    if kind == "max":
        made: nn.Module = nn.MaxPool2d(kernel, stride, padding)
        least = torch.finfo(torch.float32).min
    else:
        made, least = nn.AvgPool2d(kernel, stride, padding, count_include_pad=False), 0.0
    if even:
        return made
    return nn.Sequential(nn.ConstantPad2d((pads[0], pads[1], pads[2], pads[3]), least), made)
