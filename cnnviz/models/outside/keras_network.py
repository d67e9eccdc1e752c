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
            *containers, leaf = name.split(".")
            container: nn.Module = self
            for part in containers:
                if part not in container._modules:
                    container._modules[part] = nn.Module()
                inner = container._modules[part]
                assert inner is not None
                container = inner
            container._modules[leaf] = layer
        self._steps = list(steps)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (or probabilities, where the configuration ends with softmax) of `(N, C, H, W)`."""
        modules = dict(self.named_modules())
        results = [images]
        for name, sources in self._steps:
            inputs = [results[index] for index in sources]
            results.append(modules[name](*inputs) if name else inputs[0])
        return results[-1]


class Join(nn.Module):
    """Joins tensors: sum, product, mean, maximum, difference, or one behind the other along channels."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.how = operation

    def forward(self, *inputs: Tensor) -> Tensor:
        """The tensors joined."""
        if self.how == "concatenate":
            return torch.cat(inputs, 1)
        result = inputs[0]
        for operand in inputs[1:]:
            if self.how == "multiply":
                result = result * operand
            elif self.how == "subtract":
                result = result - operand
            elif self.how == "maximum":
                result = torch.maximum(result, operand)
            else:
                result = result + operand
        return result / len(inputs) if self.how == "average" else result


class GlobalPool(nn.Module):
    """Mean or maximum of each map."""

    def __init__(self, kind: str, keep: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveMaxPool2d(1) if kind == "max" else nn.AdaptiveAvgPool2d(1)
        self.keep = keep

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C)`, or `(N, C, 1, 1)`."""
        pooled: Tensor = self.pool(maps)
        return pooled if self.keep else pooled.flatten(1)


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
    symmetric = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if symmetric else (0, 0)
    conv = nn.Conv2d(channels, filters, kernel, stride, padding, dilation, groups, bias)
    return conv if symmetric else nn.Sequential(nn.ZeroPad2d((pads[0], pads[1], pads[2], pads[3])), conv)


def pooling(kind: str, kernel: tuple[int, int], stride: tuple[int, int], pads: Sequence[int]) -> nn.Module:
    """Pooling; uneven padding is a layer before it, of the least number where the maximum is taken."""
    symmetric = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if symmetric else (0, 0)
    if kind == "max":
        pool: nn.Module = nn.MaxPool2d(kernel, stride, padding)
        fill = torch.finfo(torch.float32).min
    else:
        pool, fill = nn.AvgPool2d(kernel, stride, padding, count_include_pad=False), 0.0
    if symmetric:
        return pool
    return nn.Sequential(nn.ConstantPad2d((pads[0], pads[1], pads[2], pads[3]), fill), pool)
